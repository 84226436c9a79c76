// Nothing is wider than the screen, unless it scrolls by itself.

export async function layoutProblems(tab) {
    return await tab.evaluate(async () => {
        const found = []
        for (const box of document.querySelectorAll('html, body, #mdbook-content, main')) {
            const { scrollWidth, clientWidth } = box
            if (scrollWidth > clientWidth) {
                found.push(`${box.localName} has ${clientWidth} pixels for ${scrollWidth}`)
            }
        }

        const main = document.querySelector('main')
        const name = (element) => {
            const text = element.textContent.trim().replace(/\s+/g, ' ').slice(0, 40)
            return `${element.localName}.${element.className} "${text}"`
        }
        // The nearest box around the element that its content cannot leave unseen.
        const holder = (element) => {
            for (let box = element; box !== main.parentElement; box = box.parentElement) {
                const overflow = getComputedStyle(box).overflowX
                const inline = getComputedStyle(box).display === 'inline'
                if (!inline && ['auto', 'scroll'].includes(overflow)) return null
                if (!inline && ['hidden', 'clip'].includes(overflow)) return box
                if (box.localName === 'td' || box.localName === 'th') return box
            }
            return main
        }
        const judge = (element, rectangles, box) => {
            if (!box) return
            const frame = box.getBoundingClientRect()
            for (const { left, right, width } of rectangles) {
                // An edge may be rounded.
                if (width > 1 && (right > frame.right + 1.5 || left < frame.left - 1.5)) {
                    const out = Math.round(Math.max(right - frame.right, frame.left - left))
                    found.push(`${name(element)} sticks out of ${box.localName} by ${out}`)
                    return
                }
            }
        }
        const texts = document.createTreeWalker(main, NodeFilter.SHOW_TEXT)
        while (texts.nextNode()) {
            const text = texts.currentNode
            const element = text.parentElement
            if (!text.data.trim() || !element.checkVisibility()) continue
            const range = document.createRange()
            range.selectNodeContents(text)
            judge(element, range.getClientRects(), holder(element))
        }
        for (const element of main.querySelectorAll('table, pre, img, svg, blockquote, details')) {
            if (!element.checkVisibility() || element.closest('button')) continue
            judge(element, [element.getBoundingClientRect()], holder(element.parentElement))
        }
        for (const image of main.querySelectorAll('img')) {
            if (!image.naturalWidth) {
                found.push(`no picture: ${image.src}`)
                continue
            }
            if (!image.alt.trim()) found.push(`no words for the picture ${image.src}`)
            if (!image.checkVisibility() || !image.src.endsWith('.svg')) continue
            const source = await (await fetch(image.src)).text()
            const drawing = new DOMParser().parseFromString(source, 'image/svg+xml')
            const scale = image.width / drawing.documentElement.viewBox.baseVal.width
            const sizes = [...drawing.querySelectorAll('text')].map(
                (text) => scale * text.getAttribute('font-size'))
            const least = Math.round(Math.min(...sizes))
            if (least < 9) found.push(`letters of ${least} pixels in ${image.src}`)
        }
        return found
    })
}

// A picture by itself: no words leave its frame, and it has a title and a description.
export async function pictureProblems(reader, path) {
    await reader.open(path)
    return await reader.tab.evaluate(() => {
        const found = []
        const drawing = document.documentElement
        const frame = drawing.viewBox.baseVal
        for (const text of drawing.querySelectorAll('text')) {
            const box = text.getBBox()
            const inside = box.x >= frame.x && box.y >= frame.y &&
                box.x + box.width <= frame.x + frame.width &&
                box.y + box.height <= frame.y + frame.height
            if (!inside) found.push(`"${text.textContent}" leaves the picture`)
        }
        for (const part of ['title', 'desc']) {
            if (!drawing.querySelector(`:scope > ${part}`)) found.push(`has no <${part}>`)
        }
        return found
    })
}
