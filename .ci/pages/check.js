// Tests of the built book in a browser, as a reader meets it.
//
//   node check.js BOOK BROWSER [PICTURES]
//
// BOOK is the directory that mdbook built, BROWSER a Chromium. With PICTURES, a directory, every
// page is also taken as a picture at each width and in each theme, for a person to look at.

import { readdirSync, readFileSync } from 'node:fs'
import { accessibilityProblems, colourProblems } from './accessibility.js'
import { DARK, LIGHT, Reader } from './reader.js'
import {
    chooseTheme, keyboardProblems, readByArrows, scrollByArrows, useShortcuts,
} from './keyboard.js'
import { layoutProblems, pictureProblems } from './layout.js'
import { LinkIndex } from './links.js'
import { searchProblems } from './search.js'
import { serve } from './server.js'
import { spoiledPages } from './spoiled.js'

const WIDTHS = [1440, 360]

const [book, browser, pictures] = process.argv.slice(2)
const problems = []
const counts = {}

function report(kind, where, found) {
    counts[kind] = (counts[kind] ?? 0) + 1
    for (const problem of found) {
        problems.push(problem)
        console.log(`${where}: ${kind}: ${problem}`)
    }
}

// print.html repeats the chapters: what axe and the keyboard find there, they find in them.
const repeats = (page) => page === 'print.html' || page === 'index.html'
// The list of chapters for readers without JavaScript. It is shown in a frame.
const frame = (page) => page === 'toc.html'

async function readPage(reader, page, theme, links) {
    for (const width of WIDTHS) {
        const where = `${page} at ${width}, ${theme.name}`
        await reader.open(page, width)
        report('load', where, reader.takeTrouble())
        report('theme', where, await reader.themeProblems(theme))
        report('layout', where, await layoutProblems(reader.tab))
        if (theme === LIGHT && width === WIDTHS[0]) await links.read(page, reader.tab)
        if (pictures) await reader.photograph(`${pictures}/${page}-${width}-${theme.name}.png`)
        if (repeats(page)) continue
        if (width === WIDTHS[0]) report('colours', where, await colourProblems(reader.tab))
        if (theme === DARK) continue
        report('accessibility', where, await accessibilityProblems(reader.tab))
        report('keyboard', where, await keyboardProblems(reader.tab))
    }
}

async function readAll(server, pages, links) {
    const inTheme = async (theme) => {
        const reader = await Reader.start(browser, server, theme)
        try {
            for (const page of pages) {
                if (!frame(page)) await readPage(reader, page, theme, links)
            }
        } finally {
            await reader.close()
        }
    }
    await Promise.all([inTheme(LIGHT), inTheme(DARK)])
}

async function readOnce(server, pages) {
    const reader = await Reader.start(browser, server, LIGHT)
    try {
        for (const picture of readdirSync(`${book}/img`)) {
            report('picture', picture, await pictureProblems(reader, `img/${picture}`))
        }
        report('search', 'index.html', await searchProblems(reader))
        report('keys', 'index.html', await readByArrows(reader, pages))
        report('keys', 'index.html', await chooseTheme(reader))
        report('keys', 'v1-chroot.html', await useShortcuts(reader))
        report('keys', 'v5-netns.html', await scrollByArrows(reader))
        report('load', 'reading on', reader.takeTrouble())
    } finally {
        await reader.close()
    }
}

async function main() {
    const pages = readdirSync(book).filter((name) => name.endsWith('.html'))
    if (pages.length < 10) throw new Error(`${book} holds ${pages.length} pages only`)
    const read = (path) => readFileSync(`${book}/${path}`)
    const server = await serve(read)
    const links = new LinkIndex(server.origin)
    await readAll(server, pages, links)
    await readOnce(server, pages)
    for (const [page, found] of links.problems()) report('links', page, found)
    server.close()

    const { missed, count } = await spoiledPages(read, browser)
    report('spoiled', 'the checks themselves', missed)

    console.log(`${pages.length} pages, ${links.count} links inside the book; checks:`)
    for (const [kind, count] of Object.entries(counts)) console.log(`  ${kind}: ${count}`)
    console.log(`  and on pages spoiled on purpose: ${count}`)
    console.log(`${problems.length} problems`)
    process.exit(problems.length ? 1 : 0)
}

await main()
