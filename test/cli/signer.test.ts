/** @node */
import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { homeWith, type TestHome } from './run.ts'

let home: TestHome
before(async () => {
  home = await homeWith([{ slug: 'orders' }])
})

const vkeysOf = (dir: string): string[] => {
  const about = JSON.parse(readFileSync(join(dir, 'audit', 'main', 'trail.json'), 'utf8'))
  return about.vkeys.map(({ vkey }: { vkey: string }) => vkey)
}

test('another key signs from here on, and the vkey that verifiers have goes on verifying', async () => {
  const [old = ''] = vkeysOf(home.dir)
  const { code, stdout, stderr } = await home.run(['audit', 'rotate-signer', '--reason', 'yearly', '--json'])
  deepStrictEqual([code, stderr], [0, ''])
  const { origin, vkey, previousVkey } = JSON.parse(stdout)
  deepStrictEqual(vkeysOf(home.dir), [old, vkey])
  deepStrictEqual([previousVkey, vkey.startsWith(`${origin}+`)], [old, true])
  const again = await home.run(['encrypt', 'orders', '--text'], { input: 'later' })
  deepStrictEqual([again.code, again.stderr], [0, ''])
  for (const trusted of [old, vkey]) {
    const verified = await home.run(['audit', 'verify', '--vkey', trusted])
    strictEqual(verified.code, 0, verified.stdout)
  }
  const shown = await home.run(['audit', 'query', '--action', 'audit.key_rotated', '--json'])
  match(shown.stdout, /"previousVkey"/)
})

test('a pin is the published checkpoint, and holds the trail to it', async () => {
  const out = join(home.folder, 'audit.pin')
  const { code, stdout, stderr } = await home.run(['audit', 'pin', '--out', out, '--json'])
  deepStrictEqual([code, stderr], [0, ''])
  const { size, note } = JSON.parse(stdout)
  strictEqual(readFileSync(out, 'utf8'), note)
  strictEqual(note.split('\n')[1], String(size))
  const text = await home.run(['audit', 'pin', '-o', out])
  match(text.stdout, /^pinned \d+ entries of keytrail\/.*, root [0-9a-f]{16}…, in .*audit\.pin\n$/)
  const verified = await home.run(['audit', 'verify', '--pin', out])
  strictEqual(verified.code, 0, verified.stdout)
})

test('what is missing is said', async () => {
  const without = await home.run(['audit', 'pin'])
  deepStrictEqual([without.code, /'--out' is missing/.test(without.stderr)], [2, true])
  const out = join(home.folder, 'none.pin')
  const nothing = await home.run(['audit', 'pin', join(home.folder, 'nothing'), '-o', out])
  deepStrictEqual([nothing.code, /there is no trail/.test(nothing.stderr), existsSync(out)], [1, true, false])
  const nowhere = await home.run(['audit', 'rotate-signer', '--dir', join(home.folder, 'nothing')])
  deepStrictEqual([nowhere.code, /does not hold keys/.test(nowhere.stderr)], [1, true])
})
