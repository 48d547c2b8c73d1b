/** @node Every rule's own examples: what must be found is found, and what must not is not. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { createDetector, type DetectorState } from '../../src/detect/detector.ts'
import { playExample } from '../../src/detect/example.ts'
import { type Finding, levels } from '../../src/detect/finding.ts'
import type { Rule } from '../../src/detect/rule.ts'
import { everyRule } from '../../src/detect/shipped.ts'
import type { AuditEntry } from '../../src/model/entry.ts'

for (const rule of everyRule) {
  describe(rule.id, () => {
    for (const example of rule.examples)
      test(`${example.findings === 0 ? 'silent' : 'fires'}: ${example.says}`, () => {
        const { entries, end } = playExample(example)
        const play = () => {
          const detector = createDetector([rule.withParameters(example.parameters ?? {})])
          const findings = [...entries.flatMap((entry) => [...detector.take(entry)]), ...detector.advance(end)]
          return { findings, health: detector.health() }
        }
        const { findings, health } = play()
        assert.deepEqual(health.failed, {})
        assert.equal(findings.length, example.findings, findings.map(({ says }) => says).join('\n'))
        if (example.levels !== undefined)
          assert.deepEqual(
            findings.map(({ level }) => level),
            example.levels,
          )
        const ids = new Set(entries.map(({ eventID }) => eventID))
        for (const { evidence, says } of findings) {
          assert.ok(evidence.length > 0 && evidence.every((id) => ids.has(id)), says)
          assert.doesNotMatch(says, /undefined|\[object|NaN|\.$/)
        }
        assert.deepEqual(play().findings, findings)
        for (const at of new Set([1, entries.length >> 1, entries.length - 1]))
          assert.deepEqual(resumed({ rule: rule.withParameters(example.parameters ?? {}), entries, end, at }), findings)
      })
  })
}

interface Resumed {
  readonly rule: Rule
  readonly entries: readonly AuditEntry[]
  readonly end: number
  /** Where one detector stops, and another one goes on from its state as a file keeps it. */
  readonly at: number
}

function resumed({ rule, entries, end, at }: Resumed): readonly Finding[] {
  const first = createDetector([rule])
  const before = entries.slice(0, at).flatMap((entry) => [...first.take(entry)])
  const second = createDetector([rule], { state: JSON.parse(JSON.stringify(first.state())) as DetectorState })
  // What was seen twice changes nothing.
  const after = entries.slice(Math.max(0, at - 2)).flatMap((entry) => [...second.take(entry)])
  return [...before, ...after, ...second.advance(end)]
}

test('every rule has what a reader of its findings needs, and examples of both kinds', () => {
  for (const { id, title, level, attack, why, falsePositives, whatToDo, actions, examples } of everyRule) {
    assert.match(id, /^[a-z0-9-]+$/)
    assert.ok(title !== '' && why !== '' && whatToDo !== '' && actions.length > 0 && falsePositives.length > 0, id)
    assert.ok(levels.includes(level))
    for (const technique of attack) assert.match(technique, /^T\d{4}(\.\d{3})?$/, id)
    assert.ok(
      examples.some(({ findings }) => findings > 0),
      `${id} has no example that fires`,
    )
    assert.ok(
      examples.some(({ findings }) => findings === 0),
      `${id} has no example that stays silent`,
    )
  }
})

test('each rule stands in the file of its name, and each file is shipped', () => {
  const folder = new URL('../../src/detect/rules/', import.meta.url)
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))
  for (const { id } of everyRule)
    assert.ok(readFileSync(new URL(`${id}.ts`, folder), 'utf8').includes(`id: '${id}'`), id)
  assert.deepEqual(files.map((name) => name.slice(0, -3)).sort(), everyRule.map(({ id }) => id).sort())
})
