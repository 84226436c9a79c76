// What the pages lack for a reader who has no mouse.
(() => {
    // Otherwise Tab goes through the whole list of chapters before it comes to the text.
    const skip = document.createElement('a');
    skip.className = 'skip';
    skip.href = `${location.pathname}#mdbook-content`;
    skip.textContent = 'To the text';
    document.body.prepend(skip);

    // The label that shows and hides the list of chapters is a button only to a mouse.
    const chapters = document.getElementById('mdbook-sidebar-toggle');
    chapters.tabIndex = 0;
    chapters.setAttribute('role', 'button');
    chapters.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        chapters.click();
    });

    // A line that is too long is scrolled to with the arrows, which turn the page elsewhere.
    const size = new ResizeObserver((changes) => {
        for (const { target } of changes) {
            if (target.scrollWidth > target.clientWidth) {
                target.tabIndex = 0;
            } else {
                target.removeAttribute('tabindex');
            }
        }
    });
    const regions = 'main pre > code, main .table-wrapper, main .checkbox-label';
    for (const region of document.querySelectorAll(regions)) {
        size.observe(region);
        region.addEventListener('keydown', (event) => {
            if (['ArrowLeft', 'ArrowRight'].includes(event.key)) event.stopPropagation();
        });
    }
})();
