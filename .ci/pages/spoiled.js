// The checks can fail: each is shown a page that was spoiled on its way to the browser.

import { accessibilityProblems, colourProblems } from './accessibility.js'
import { chooseTheme, keyboardProblems, readByArrows, useShortcuts } from './keyboard.js'
import { layoutProblems, pictureProblems } from './layout.js'
import { LinkIndex } from './links.js'
import { DARK, LIGHT, Reader } from './reader.js'
import { searchProblems } from './search.js'
import { serve } from './server.js'

const PAGE = 'introduction.html'

// Reads the page, and then does with it what `check` says.
const page = (check) => async (reader) => {
    await reader.open(PAGE, 360)
    return await check(reader)
}
const trouble = page((reader) => reader.takeTrouble())
const layout = page((reader) => layoutProblems(reader.tab))
const colours = page((reader) => colourProblems(reader.tab))
const accessibility = page((reader) => accessibilityProblems(reader.tab))
const keyboard = page((reader) => keyboardProblems(reader.tab))
const links = page(async (reader) => {
    const index = new LinkIndex(reader.origin)
    await index.read(PAGE, reader.tab)
    await reader.open('v1-chroot.html')
    await index.read('v1-chroot.html', reader.tab)
    return index.problems().get(PAGE)
})

const within = (html) => [PAGE, (text) => text.replace('</main>', `${html}</main>`)]
const instead = (file, from, to) => [file, (text) => text.replaceAll(from, to)]
const gone = (file) => [file, () => '']

// What is spoiled, the check that reads it, and what the check has to say.
const SPOILED = [
    [within('<script>throw new Error("spoiled")</script>'), trouble, 'script: spoiled'],
    [within('<script>console.error("spoiled")</script>'), trouble, 'console: spoiled'],
    [within('<img src="img/none.svg" alt="none">'), trouble, 'none.svg: 404'],
    [within('<img src="http://127.0.0.2:9/a.svg" alt="a">'), trouble, 'leaves the book'],
    [within('<p style="width: 2000px">wide</p>'), layout, 'pixels for'],
    [within('<pre style="overflow: hidden">' + 'long '.repeat(50)), layout, 'sticks out'],
    [within('<img src="img/map.svg" width="100" alt="map">'), layout, 'letters of'],
    [within('<p style="color: #999">grey</p>'), colours, 'color-contrast'],
    [within('<img src="img/map.svg">'), accessibility, 'image-alt'],
    [within('<h5>deep</h5>'), accessibility, 'heading-order'],
    [within('<button></button>'), accessibility, 'button-name'],
    [within('<a href="v1-chroot.html#nowhere">x</a>'), links, 'v1-chroot.html#nowhere'],
    [within('<a href="nowhere.html">x</a>'), links, 'no page nowhere.html'],
    [within('<style>:focus { outline: none !important }</style>'), keyboard, 'shows the focus'],
    [within('<button tabindex="-1">x</button>'), keyboard, 'Tab does not reach button'],
    [gone('theme/keyboard'), keyboard, 'Tab does not reach label'],
    [within('<details><summary onclick="return false">x</summary>y</details>'), keyboard,
        'Enter does not open'],
    [gone('theme/keyboard'), useShortcuts, 'no way to the text'],
    [instead(PAGE, 'href="setup.html"', 'href="glossary.html"'), readByArrows,
        'leads to glossary.html'],
    [instead('index.html', 'id="mdbook-theme-navy"', 'id="x"'), chooseTheme, 'does not choose'],
    [gone('theme/themes'), chooseTheme, 'only default_theme light navy'],
    [instead('searchindex', 'v5-netns.html', 'v1-chroot.html'), searchProblems,
        'not to v5-netns.html'],
    [instead('img/map.svg', 'x="', 'x="4'), (reader) => pictureProblems(reader, 'img/map.svg'),
        'leaves the picture'],
    [instead(PAGE, '"navy"', '"coal"'), page((reader) => reader.themeProblems(DARK)), 'not navy'],
]

// The checks that did not see it. `read` gives a file of the book as it is.
export async function spoiledPages(read, browser) {
    let spoil
    const server = await serve((path) => {
        const [file, change] = spoil
        return path.startsWith(file) ? change(read(path).toString()) : read(path)
    })
    const missed = []
    const reader = await Reader.start(browser, server, LIGHT)
    try {
        for (const [spoiled, check, expected] of SPOILED) {
            spoil = spoiled
            reader.takeTrouble()
            const found = await check(reader, [])
            if (!found.some((problem) => problem.includes(expected))) {
                missed.push(`no check says "${expected}", but: ${found.join('; ') || 'nothing'}`)
            }
        }
    } finally {
        await reader.close()
        server.close()
    }
    return { missed, count: SPOILED.length }
}
