// A reader: a browser of its own with one tab, which notes what goes wrong while pages load.

import { chromium } from 'playwright-core'

// What mdBook shows to somebody who chose nothing and whose desktop is light, or dark.
export const LIGHT = { name: 'light', scheme: 'light', theme: 'light' }
export const DARK = { name: 'dark', scheme: 'dark', theme: 'navy' }

const FLAGS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
]

export class Reader {
    static async start(executablePath, server, theme) {
        const reader = new Reader()
        reader.origin = server.origin
        reader.trouble = []
        reader.browser = await chromium.launch({ executablePath, args: FLAGS })
        const context = await reader.browser.newContext({ colorScheme: theme.scheme })
        reader.tab = await context.newPage()
        reader.tab.setDefaultTimeout(30_000)
        // The page for printing opens the browser's dialogue.
        await reader.tab.addInitScript(() => (window.print = () => {}))
        reader.listen()
        return reader
    }

    listen() {
        const note = (text) => this.trouble.push(text)
        this.tab.on('console', (message) => {
            if (['error', 'warning'].includes(message.type())) note(`console: ${message.text()}`)
        })
        this.tab.on('pageerror', (error) => note(`script: ${error.message}`))
        this.tab.on('requestfailed', (request) => {
            // A page that is left breaks off what it still loads.
            const why = request.failure()?.errorText
            if (why !== 'net::ERR_ABORTED') note(`request: ${request.url()}: ${why}`)
        })
        this.tab.on('response', (response) => {
            if (response.status() >= 400) note(`request: ${response.url()}: ${response.status()}`)
        })
        this.tab.on('request', (request) => {
            const url = new URL(request.url())
            const inside = url.origin === this.origin || url.protocol === 'data:'
            if (!inside) note(`request leaves the book: ${url}`)
        })
    }

    async open(path, width = 1440) {
        // High enough for the list of chapters: axe takes a link that is half behind the list's
        // edge for one that is too small.
        await this.tab.setViewportSize({ width, height: 1800 })
        await this.tab.goto(`${this.origin}/${path}`, { waitUntil: 'load' })
        // A frame has been drawn, and whoever observes sizes has seen them.
        await this.tab.evaluate(() => new Promise((done) => requestAnimationFrame(
            () => requestAnimationFrame(done))))
    }

    async photograph(path) {
        await this.tab.screenshot({ path, fullPage: true })
    }

    async themeProblems(theme) {
        const classes = await this.tab.evaluate(() => [...document.documentElement.classList])
        if (classes.includes(theme.theme)) return []
        return [`a ${theme.name} desktop gets ${classes.join(' ')}, not ${theme.theme}`]
    }

    // What went wrong since the last call.
    takeTrouble() {
        return this.trouble.splice(0)
    }

    async close() {
        await this.browser.close()
    }
}
