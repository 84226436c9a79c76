// Every link inside the book leads to a page that is there, and to an anchor that is on it.

export class LinkIndex {
    constructor(origin) {
        this.origin = origin
        this.count = 0
        this.anchors = new Map()
        this.links = []
    }

    // Notes the links and anchors of the page that the tab shows.
    async read(page, tab) {
        const seen = await tab.evaluate(() => ({
            anchors: [...document.querySelectorAll('[id]')].map((element) => element.id),
            links: [...document.querySelectorAll('a[href]:not(.header)')].map((link) => link.href),
        }))
        this.anchors.set(page, new Set(seen.anchors))
        for (const link of new Set(seen.links)) {
            const url = new URL(link)
            if (url.origin !== this.origin) continue
            this.links.push([page, url])
            this.count += 1
        }
    }

    // For each page, what is wrong with its links.
    problems() {
        const found = new Map([...this.anchors.keys()].map((page) => [page, []]))
        for (const [page, url] of this.links) {
            const target = decodeURIComponent(url.pathname).slice(1) || 'index.html'
            const anchor = decodeURIComponent(url.hash).slice(1)
            const anchors = this.anchors.get(target)
            if (!anchors) {
                found.get(page).push(`no page ${target}`)
            } else if (anchor && !anchors.has(anchor)) {
                found.get(page).push(`no anchor ${target}#${anchor}`)
            }
        }
        return found
    }
}
