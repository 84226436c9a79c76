// Who types a word into the search box finds the chapter that explains it.

// A word, and a page that has to be among the first that are found.
const TERMS = [
    ['chroot', 'v1-chroot.html'],
    ['busybox', 'setup.html'],
    ['pivot_root', 'v2-mountns.html'],
    ['propagation', 'v2-mountns.html'],
    ['zombie', 'v3-pidns.html'],
    ['subreaper', 'v1-chroot.html'],
    ['hostname', 'v4-utsns.html'],
    ['veth', 'v5-netns.html'],
    ['masquerade', 'v5-netns.html'],
    ['cgroup.procs', 'v6-cgroups.html'],
    ['memory.max', 'v6-cgroups.html'],
    ['whiteout', 'v7-overlay.html'],
    ['lowerdir', 'v7-overlay.html'],
    ['pause', 'v8-pause.html'],
    ['nsenter', 'v8-pause.html'],
    ['EPERM', 'troubleshooting.html'],
    ['newuidmap', 'root-without-root.html'],
]
const FIRST = 3

export async function searchProblems(reader) {
    await reader.open('index.html')
    const { tab } = reader
    const found = []
    await tab.keyboard.press('/')
    await tab.waitForFunction(() => document.activeElement.id === 'mdbook-searchbar')
    for (const [term, page] of TERMS) {
        await tab.keyboard.press('Control+A')
        await tab.keyboard.type(term)
        const header = tab.locator('#mdbook-searchresults-header')
        await header.getByText(`'${term}'`).waitFor()
        const hits = await tab.locator('#mdbook-searchresults a').evaluateAll(
            (links) => links.map((link) => new URL(link.href).pathname.slice(1)))
        const first = [...new Set(hits)].slice(0, FIRST)
        if (!first.includes(page)) {
            found.push(`'${term}' leads to ${first.join(', ') || 'nothing'}, not to ${page}`)
        }
    }
    return found
}
