// What axe-core finds against WCAG 2 A and AA. There are no exceptions: what mdBook itself does
// wrong is mended in book/theme.

import { createRequire } from 'node:module'

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
const RULES = ['heading-order', 'empty-heading', 'empty-table-header', 'image-redundant-alt']
// They look at colours, which depend on the theme and not on the width.
const COLOURS = ['color-contrast', 'link-in-text-block']

export async function accessibilityProblems(tab) {
    return await run(tab, (rule) => !COLOURS.includes(rule))
}

export async function colourProblems(tab) {
    return await run(tab, (rule) => COLOURS.includes(rule))
}

async function run(tab, wanted) {
    await tab.addScriptTag({ path: AXE })
    const known = await tab.evaluate((tags) => window.axe.getRules(tags), TAGS)
    const rules = known.map(({ ruleId }) => ruleId).concat(RULES).filter(wanted)
    const violations = await tab.evaluate(async (values) => {
        const result = await window.axe.run(document, {
            runOnly: { type: 'rule', values },
            resultTypes: ['violations'],
        })
        return result.violations
    }, rules)
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
        `${id}: ${target.join(' ')}: ${failureSummary.replace(/\s+/g, ' ')}`))
}
