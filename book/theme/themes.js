// The menu offers one light theme and one dark. mdBook's other three write too pale to be read by
// everybody: in the one called coal, a contrast of 1.98 where WCAG asks for 4.5.
(() => {
    for (const name of ['rust', 'coal', 'ayu']) {
        document.getElementById(`mdbook-theme-${name}`).parentElement.remove();
    }
})();
