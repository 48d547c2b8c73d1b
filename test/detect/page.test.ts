/** @node The page "Watching your keys" tells every rule as it is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Rule } from '../../src/detect/rule.ts'
import { everyRule } from '../../src/detect/shipped.ts'

const page = readFileSync(new URL('../../src/detect/README.md', import.meta.url), 'utf8')

test('each shipped rule has its row, with its level, techniques and parameters', () => {
  const rows = page.split('\n').filter((line) => /^\| `[a-z0-9-]+`\s*\|/.test(line))
  assert.deepEqual(rows.map(unpadded), everyRule.map(rowOf).map(unpadded))
})

function rowOf({ id, title, level, attack, parameters }: Rule): string {
  const given = Object.entries(parameters).map(([name, value]) => `\`${name}: ${JSON.stringify(value)}\``)
  return `| \`${id}\` | ${title} | ${level} | ${attack.join(', ')} | ${given.join(' ')} |`
}

/** Cells as they are, whatever a formatter puts around them. */
function unpadded(row: string): string {
  return row.replace(/\s+/g, ' ')
}
