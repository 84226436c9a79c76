// Whoever has no mouse reaches everything, and sees where they are.

// From the start of the page, Tab comes by everything that can be clicked, opened or scrolled.
export async function keyboardProblems(tab) {
    const found = await unfold(tab)
    await tab.evaluate(noteFocus)
    const presses = Array(20).fill('Tab')
    const atMost = Date.now() + 20_000
    while (!await tab.evaluate(() => window.cameRound) && Date.now() < atMost) {
        // One does not wait for the other: there are hundreds.
        await Promise.all(presses.map((key) => tab.keyboard.press(key)))
    }
    found.push(...await tab.evaluate(() => window.invisible))
    return found.concat(await tab.evaluate(missedByTab))
}

// Enter opens every folded box; so what is inside has to be reached, too.
async function unfold(tab) {
    const found = []
    for (const title of await tab.locator('main details:not([open]) > summary').elementHandles()) {
        await title.focus()
        await tab.keyboard.press('Enter')
        const opened = await title.evaluate((summary) => summary.parentElement.open)
        if (!opened) found.push(`Enter does not open "${await title.textContent()}"`)
    }
    return found
}

// Runs in the page: from now on keeps what had the focus, and where nothing showed it.
function noteFocus() {
    window.reached = new Set()
    window.invisible = []
    window.cameRound = false
    document.addEventListener('focusin', ({ target }) => {
        if (window.reached.has(target)) window.cameRound = true
        window.reached.add(target)
        // mdBook hides the box that enlarges a picture, and shows its focus around the picture.
        const shown = target.matches('.checkbox-img') ? target.nextElementSibling : target
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(shown)
        const outline = outlineStyle !== 'none' && parseFloat(outlineWidth) > 0
        if (!outline && boxShadow === 'none') {
            const text = target.textContent.trim().slice(0, 40)
            window.invisible.push(`nothing shows the focus on ${target.localName} "${text}"`)
        }
    })
    // The first of all stops.
    document.querySelector('.skip')?.focus()
}

// Runs in the page.
function missedByTab() {
    const shown = (element) => element.checkVisibility(
        { opacityProperty: true, visibilityProperty: true }) &&
        element.getBoundingClientRect().width > 0
    const scrolls = (element) => element.scrollWidth > element.clientWidth + 1 &&
        ['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
    const controls = document.querySelectorAll('a[href], button, summary, input, label[for]')
    const regions = [...document.querySelectorAll('main *')].filter(scrolls)
    return [...controls, ...regions].filter(shown)
        .filter((element) => !window.reached.has(element))
        .map((element) => `Tab does not reach ${element.localName}#${element.id}` +
            `.${element.className} "${(element.title || element.textContent).trim().slice(0, 40)}"`)
}

// The right arrow leads from the first page through all chapters to the last, the left one back.
export async function readByArrows(reader, pages) {
    await reader.open('index.html')
    const { tab } = reader
    const chapters = await tab.locator('#mdbook-sidebar a').evaluateAll((links) => links
        .map((link) => new URL(link.href)).filter((url) => !url.hash)
        .map((url) => url.pathname.slice(1)))
    const turn = async (key, page) => {
        const before = tab.url()
        await tab.keyboard.press(key)
        await tab.waitForURL((url) => url.href !== before)
        const after = new URL(tab.url()).pathname.slice(1)
        return after === page ? [] : [`${key} leads to ${after}, not to ${page}`]
    }
    const found = []
    await reader.open(chapters[0])
    for (const page of chapters.slice(1)) {
        found.push(...await turn('ArrowRight', page))
        if (found.length) return found
    }
    found.push(...await turn('ArrowLeft', chapters.at(-2)))
    const missing = pages.filter((page) => !chapters.includes(page))
        .filter((page) => !['404.html', 'index.html', 'print.html', 'toc.html'].includes(page))
    return found.concat(missing.map((page) => `${page} is not in the list of chapters`))
}

// What check.js reads the pages in: what the desktop has, light, dark.
const THEMES = 'default_theme light navy'

// The menu of themes, with keys alone; the choice is kept.
export async function chooseTheme(reader) {
    await reader.open('index.html')
    const { tab } = reader
    const classes = () => tab.evaluate(() => [...document.documentElement.classList])
    await tab.locator('#mdbook-theme-toggle').focus()
    await tab.keyboard.press('Enter')
    const offered = await tab.locator('#mdbook-theme-list button').evaluateAll(
        (buttons) => buttons.map(({ id }) => id.replace('mdbook-theme-', '')).join(' '))
    const found = offered === THEMES ? [] : [`the menu offers ${offered}: only ${THEMES} are read`]
    // It opens with the focus on one of them.
    for (let steps = 0; steps < 3; steps++) {
        if (await tab.evaluate(() => document.activeElement.id === 'mdbook-theme-navy')) break
        await tab.keyboard.press('ArrowDown')
    }
    await tab.keyboard.press('Enter')
    if (!(await classes()).includes('navy')) found.push('Enter does not choose a theme')
    await reader.open('v1-chroot.html')
    if (!(await classes()).includes('navy')) found.push('the next page forgets the theme')
    await tab.evaluate(() => localStorage.clear())
    return found
}

// The first Tab offers a way past the list of chapters, and s or / opens the search.
export async function useShortcuts(reader) {
    const { tab } = reader
    const found = []
    await reader.open('v1-chroot.html')
    const focusIsOn = (selector) => tab.evaluate(
        (wanted) => document.activeElement.matches(wanted), selector)
    await tab.keyboard.press('Tab')
    if (!await focusIsOn('.skip')) return ['the first Tab offers no way to the text']
    await tab.keyboard.press('Enter')
    await tab.keyboard.press('Tab')
    if (!await focusIsOn('main *')) found.push('the way to the text leads elsewhere')
    for (const key of ['s', '/']) {
        await reader.open('v1-chroot.html')
        await tab.keyboard.press(key)
        if (!await focusIsOn('#mdbook-searchbar')) found.push(`${key} does not open the search`)
    }
    await tab.keyboard.type('chroot')
    await tab.locator('#mdbook-searchresults a').first().waitFor()
    await tab.keyboard.press('Enter')
    await tab.waitForURL(/highlight=chroot/).catch(() => found.push('Enter opens no hit'))
    return found
}

// The arrows scroll a code block that has the focus, and stay on the page.
export async function scrollByArrows(reader) {
    const { tab } = reader
    await reader.open('v5-netns.html', 360)
    const block = tab.locator('main pre > code[tabindex="0"]').first()
    await block.focus()
    await tab.keyboard.press('ArrowRight')
    const moved = await tab.waitForFunction(() => document.activeElement.scrollLeft > 0, null,
        { timeout: 3000 }).catch(() => false)
    return moved ? [] : ['the right arrow does not scroll a code block']
}
