/** @node The page in a browser: nothing is fetched, nothing hostile runs, filters and sorting work by mouse and by keyboard. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { renderWith } from '../../src/report/html/report.ts'
import type { Review } from '../../src/report/review.ts'
import { chromiumFlags } from '../runtimes/hosts.ts'
import { type Browser, missing, type Page, type PageOptions, playwright, programs } from '../runtimes/installed.ts'
import { builtParts, temporary } from './built.ts'
import { busy, hostile, hostileTexts, quiet, rich, tampered } from './reviews.ts'

const skip = missing('Chromium') || missing('esbuild')

const reviews: Readonly<Record<string, Review>> = {
  rich,
  quiet,
  tampered,
  hostile: hostile(),
  many: busy({ keys: 230, actors: 30, findings: 60, buckets: 48 }),
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

describe('the page in Chromium', { skip }, () => {
  let browser: Browser
  let folder = ''

  before(async () => {
    folder = temporaryHere
    const parts = await builtParts()
    for (const [name, review] of Object.entries(reviews))
      writeFileSync(join(folder, `${name}.html`), renderWith(review, parts))
    browser = await playwright().chromium.launch({ executablePath: programs.Chromium, args: chromiumFlags })
  })
  after(() => browser?.close())

  interface Opened {
    readonly page: Page
    /** What the console, a failure or a request told: nothing, for a good page. */
    readonly told: readonly string[]
  }

  async function opened(name: string, options: PageOptions = {}): Promise<Opened> {
    const page = await browser.newPage(options)
    const told: string[] = []
    const own = pathToFileURL(join(folder, `${name}.html`)).href
    page.on('console', (message) => told.push(`console: ${message.text()}`))
    page.on('pageerror', (error) => told.push(`error: ${error.message}`))
    page.on('request', (request) => {
      if (request.url() !== own && !request.url().startsWith('data:')) told.push(`request: ${request.url()}`)
    })
    await page.goto(own)
    return { page, told }
  }

  /** Opens, uses and closes a page; it must have told nothing. */
  async function within(name: string, use: (page: Page) => Promise<void>, options: PageOptions = {}): Promise<void> {
    const { page, told } = await opened(name, options)
    try {
      await use(page)
      assert.deepEqual(told, [])
    } finally {
      await page.close()
    }
  }

  const shown = (page: Page, selector: string) =>
    page.evaluate(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].filter((one) => one.getClientRects().length > 0).length`,
    )
  const textAt = async (page: Page, selector: string) =>
    String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent`))

  for (const name of Object.keys(reviews))
    test(`${name}: opens without a word on the console and asks for nothing`, async () => {
      await within(
        name,
        async (page) => {
          assert.equal(
            await page.evaluate('document.querySelectorAll("[data-listing] [role=status]").length > 0'),
            name !== 'quiet',
          )
          assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
        },
        { viewport: { width: 360, height: 800 } },
      )
    })

  test('its policy lets no other script and no other style in, nor a fetch out', async () => {
    const { page, told } = await opened('quiet')
    const tried = `(async () => {
      const script = document.createElement('script')
      script.textContent = 'globalThis.owned = 1'
      document.body.append(script)
      document.body.insertAdjacentHTML('beforeend', '<p id="inked" style="color: rgb(1, 2, 3)" onclick="globalThis.owned = 1">x</p>')
      document.getElementById('inked').click()
      const fetched = await fetch('http://127.0.0.1:2/').then(() => true, () => false)
      return [globalThis.owned ?? 0, getComputedStyle(document.getElementById('inked')).color === 'rgb(1, 2, 3)', fetched]
    })()`
    assert.deepEqual(await page.evaluate(tried), [0, false, false])
    assert.ok(told.length >= 4 && told.every((words) => /Content Security Policy/.test(words)), told.join('\n'))
    await page.close()
  })

  test('hostile text runs nothing, makes no element, and is there to be read', async () => {
    await within('hostile', async (page) => {
      assert.equal(await page.evaluate('globalThis.owned'), undefined)
      assert.equal(
        await page.evaluate('document.querySelectorAll("img, iframe, object, embed, form, b, svg[onload]").length'),
        0,
      )
      const scripts = 'document.querySelectorAll("script").length'
      assert.equal(await page.evaluate(scripts), 2)
      const eyes = await textAt(page, '#eyes')
      for (const text of hostileTexts.slice(0, 7)) assert.ok(eyes.includes(text), text)
      // Choices, search and legend are made of such text as well.
      await page.click('#timeline-chart label:nth-of-type(2) input')
      const legend = await textAt(page, '.legend')
      assert.ok(legend.includes('<img src=x onerror='), legend)
      await page.fill('#findings-listing input[type=search]', '<img')
      assert.equal(await page.evaluate('globalThis.owned'), undefined)
      assert.equal(await page.evaluate(scripts), 2)
    })
  })

  describe('findings', () => {
    const visible = (page: Page) => shown(page, '.finding')
    const status = (page: Page) => textAt(page, '#findings-listing [role=status]')

    test('are narrowed down by level, rule, key, actor and words, and the number is announced', async () => {
      await within('rich', async (page) => {
        assert.equal(await visible(page), 25)
        assert.equal(await status(page), 'The first 25 of 36 findings')
        await page.selectOption('#findings-listing [data-facet=level]', { label: 'critical (1)' })
        assert.equal(await visible(page), 1)
        assert.equal(await status(page), '1 finding (of 36)')
        await page.selectOption('#findings-listing [data-facet=level]', { label: 'all' })
        await page.selectOption('#findings-listing [data-facet=rule]', { label: 'repeated-400 (12)' })
        assert.equal(await visible(page), 12)
        await page.fill('#findings-listing input[type=search]', 'REFUSED invoices')
        const wanted = rich.findings.filter(
          ({ rule, says }) => rule === 'repeated-400' && says.includes('invoices'),
        ).length
        assert.ok(wanted > 0 && wanted < 12)
        assert.equal(await visible(page), wanted)
        await page.fill('#findings-listing input[type=search]', 'nothing like it')
        assert.equal(await visible(page), 0)
        assert.equal(await status(page), '0 findings (of 36)')
        await page.fill('#findings-listing input[type=search]', '')
        await page.selectOption('#findings-listing [data-facet=rule]', { label: 'all' })
        await page.selectOption('#findings-listing [data-facet=key]', { label: 'orders (1)' })
        assert.equal(await visible(page), 1)
        await page.selectOption('#findings-listing [data-facet=key]', { label: 'all' })
        await page.selectOption('#findings-listing [data-facet=actor]', { label: 'user:alice (1)' })
        assert.equal(await visible(page), 1)
      })
    })

    test('can be searched, chosen and opened by keyboard alone', async () => {
      await within('rich', async (page) => {
        await page.focus('#findings-listing input[type=search]')
        await page.keyboard.type('exported')
        assert.equal(await visible(page), 1)
        await page.keyboard.press('Tab')
        await page.keyboard.type('crit')
        assert.equal(await page.evaluate('document.activeElement.selectedOptions[0].textContent'), 'critical (1)')
        assert.equal(await visible(page), 1)
        await page.focus('.finding:not(.out) summary')
        await page.keyboard.press('Enter')
        assert.equal(await shown(page, '.finding .ids li'), 1)
      })
    })

    test('are all shown when asked for, and the focus goes on where they begin', async () => {
      await within('rich', async (page) => {
        await page.focus('#findings-listing .show-all')
        await page.keyboard.press('Enter')
        assert.equal(await visible(page), 36)
        assert.equal(
          await page.evaluate('[...document.querySelectorAll(".finding")].indexOf(document.activeElement)'),
          25,
        )
        assert.equal(await shown(page, '#findings-listing .show-all'), 0)
      })
    })
  })

  describe('tables', () => {
    const column = (page: Page, at: number) =>
      page.evaluate(
        `[...document.querySelectorAll('#keys-listing tbody tr')].map((row) => row.children[${at}].dataset.v ?? row.children[${at}].textContent)`,
      ) as Promise<readonly string[]>

    test('sort by mouse and by keyboard, the most first where it is about numbers, and say so', async () => {
      await within('rich', async (page) => {
        const before = (await column(page, 1)).map(Number)
        await page.click('#keys-listing th:nth-child(2) button')
        assert.equal(
          await page.evaluate('document.querySelector("#keys-listing th:nth-child(2)").ariaSort'),
          'descending',
        )
        assert.deepEqual(
          (await column(page, 1)).map(Number),
          before.toSorted((a, b) => b - a),
        )
        await page.focus('#keys-listing th:nth-child(2) button')
        await page.keyboard.press('Enter')
        assert.deepEqual(
          (await column(page, 1)).map(Number),
          before.toSorted((a, b) => a - b),
        )
        assert.equal(await textAt(page, '#keys-listing [role=status]'), '42 keys, sorted by Uses, ascending')
        await page.click('#keys-listing th:nth-child(1) button')
        assert.equal(await page.evaluate('document.querySelectorAll("#keys-listing [aria-sort]").length'), 1)
        const names = (await column(page, 0)).map((name) => /^[a-z]+(?:-\d+)?/.exec(name)?.[0] ?? '')
        assert.deepEqual(names.slice(0, 3), ['archive', 'archive-19', 'archive-29'])
      })
    })

    test('what is not known sorts last, either way', async () => {
      await within('rich', async (page) => {
        const last = () =>
          page.evaluate(`document.querySelector('#rotations-listing tbody').lastElementChild.children[2].textContent`)
        await page.click('#rotations-listing th:nth-child(3) button')
        assert.equal(await last(), '–')
        await page.click('#rotations-listing th:nth-child(3) button')
        assert.equal(await last(), '–')
      })
    })

    test('show their first 200 rows, all when asked, and only those that match', async () => {
      await within('many', async (page) => {
        assert.equal(await shown(page, '#keys-listing tbody tr'), 200)
        await page.fill('#keys-listing input[type=search]', 'overdue')
        const overdue = reviews['many']?.keys.filter(({ rotation }) => rotation.state === 'overdue').length
        assert.equal(await shown(page, '#keys-listing tbody tr'), overdue)
        await page.fill('#keys-listing input[type=search]', '')
        await page.click('#keys-listing .show-all')
        assert.equal(await shown(page, '#keys-listing tbody tr'), 230)
      })
    })
  })

  describe('the timeline', () => {
    /** How many of the chart's pixels have ink. */
    const ink = `(() => {
      const canvas = document.querySelector('#timeline-chart canvas')
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      let inked = 0
      for (let at = 3; at < data.length; at += 4) if (data[at] > 0) inked += 1
      return inked
    })()`
    const settled = (page: Page) =>
      page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))')

    test('is drawn, split as chosen, and each part can be taken out', async () => {
      await within('rich', async (page) => {
        await settled(page)
        const all = Number(await page.evaluate(ink))
        assert.ok(all > 20_000, String(all))
        await page.click('.legend li:nth-child(1) button')
        assert.equal(
          await page.evaluate('document.querySelector(".legend li:nth-child(1) button").ariaPressed'),
          'false',
        )
        await settled(page)
        assert.notEqual(await page.evaluate(ink), all)
        await page.focus('.views input:checked')
        await page.keyboard.press('ArrowRight')
        const legend = await textAt(page, '.legend')
        assert.match(legend, /kms\.decrypt/)
        assert.match(legend, /kms\.encrypt/)
        await page.keyboard.press('ArrowRight')
        assert.doesNotMatch(await textAt(page, '.legend'), /kms\.sign/)
      })
    })

    test('is stepped through by the arrow keys, and each step is spoken', async () => {
      await within('rich', async (page) => {
        await page.focus('.plot')
        await page.keyboard.press('ArrowRight')
        const first = await textAt(page, '#timeline-chart [role=status]')
        assert.match(first, /^Tue 27 Oct,? 13:00: [\d,]+ \(success [\d,]+, failure [\d,]+\)$/)
        await page.keyboard.press('ArrowRight')
        assert.match(await textAt(page, '#timeline-chart [role=status]'), /^Tue 27 Oct,? 19:00: /)
        await page.keyboard.press('ArrowLeft')
        assert.equal(await textAt(page, '#timeline-chart [role=status]'), first)
      })
    })
  })

  test('begins with a way past the navigation', async () => {
    await within('rich', async (page) => {
      await page.keyboard.press('Tab')
      assert.equal(await page.evaluate('document.activeElement.className'), 'skip')
      await page.keyboard.press('Enter')
      assert.equal(await page.evaluate('document.activeElement.id'), 'main')
    })
  })

  for (const [name, colorScheme] of [
    ['rich', 'light'],
    ['tampered', 'dark'],
    ['quiet', 'dark'],
  ] as const)
    test(`${name}, ${colorScheme}: axe finds nothing to object to`, async () => {
      await within(
        name,
        async (page) => {
          // What is folded is looked at, too.
          await page.evaluate('document.querySelectorAll("details").forEach((one, at) => { one.open = at % 3 !== 1 })')
          await page.evaluate(`${axe}; undefined`)
          const found = await page.evaluate(
            `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(' | ')))`,
          )
          assert.deepEqual(found, [])
        },
        { colorScheme },
      )
    })

  test('is dark where the reader wants it, and white on paper even then', async () => {
    await within(
      'rich',
      async (page) => {
        const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
        assert.equal(await ground(), 'rgb(14, 19, 27)')
        await page.emulateMedia({ media: 'print' })
        assert.equal(await ground(), 'rgb(255, 255, 255)')
      },
      { colorScheme: 'dark' },
    )
  })

  test('on paper all rows are there, whatever was filtered, folds are open, and nothing to click is left', async () => {
    await within('many', async (page) => {
      await page.fill('#keys-listing input[type=search]', 'overdue')
      await page.emulateMedia({ media: 'print' })
      assert.equal(await shown(page, '#keys-listing tbody tr'), 230)
      assert.equal(await shown(page, '.finding'), 60)
      assert.ok(Number(await shown(page, '.evidence')) === 60)
      for (const selector of ['nav', '.controls', '.views', '.show-all', '.shown'])
        assert.equal(await shown(page, `main ${selector}, body > ${selector}`), 0, selector)
      const pdf = await page.pdf()
      assert.equal(String.fromCharCode(...pdf.subarray(0, 5)), '%PDF-')
      assert.ok(pdf.length > 100_000)
    })
  })

  test('without its script everything is there to read', async () => {
    await within(
      'many',
      async (page) => {
        assert.match(await textAt(page, '#verdict'), /The trail is valid/)
        assert.equal(await shown(page, '#keys-listing tbody tr'), 230)
        assert.equal(await shown(page, '.finding'), 60)
        assert.equal(await shown(page, '#timeline-chart'), 0)
        assert.equal(await shown(page, '.as-table summary'), 1)
        assert.equal(await shown(page, 'main button, main input, main select'), 0)
      },
      { javaScriptEnabled: false },
    )
  })

  test('headings go down a step at a time, and every table has a caption', async () => {
    await within('rich', async (page) => {
      const levels = (await page.evaluate(
        '[...document.querySelectorAll("h1, h2, h3, h4")].map(({ tagName }) => Number(tagName[1]))',
      )) as readonly number[]
      assert.deepEqual(
        levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1),
        [],
      )
      assert.equal(levels.filter((level) => level === 1).length, 1)
      assert.equal(
        await page.evaluate('[...document.querySelectorAll("table")].filter((one) => one.caption === null).length'),
        0,
      )
      assert.equal(await page.evaluate('document.documentElement.lang'), 'en')
    })
  })
})

// Not within the hook that fills it: it would be removed when the hook ends.
const temporaryHere = temporary()
