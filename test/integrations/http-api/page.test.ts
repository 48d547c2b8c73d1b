/** @node The page: its table is that of the endpoints, and its commands run as they stand there. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { keyEndpoints } from '../../../src/integrations/http-api/endpoints.ts'
import { failures } from '../../../src/integrations/http-api/failure.ts'
import { rig } from './rig.ts'

const run = promisify(execFile)
const page = readFileSync(new URL('../../../src/integrations/http-api/README.md', import.meta.url), 'utf8')

test('its table has every endpoint, with permission, fields and action', () => {
  for (const { method, template, action, permission, fields = [], query = [] } of keyEndpoints) {
    const path = template.replace('/v1/kms/{region}', '')
    const ending = path.endsWith('/enable') ? '`enable`' : `\`${method} ${path}`
    const row = page
      .split('\n')
      .find((line) => line.startsWith('| `') && line.includes(ending) && line.includes(`\`${action}\``))
    assert.ok(row, `${method} ${path}`)
    assert.equal(row.split('|')[2]?.trim(), permission, row)
    const known = page.slice(page.indexOf('## Endpoints'), page.indexOf('## Who hears what'))
    for (const name of [...fields, ...query]) assert.match(known, new RegExp(`\\b${name}\\b`), name)
  }
})

test('its table of statuses has every status that an error has', () => {
  for (const { status } of Object.values(failures)) assert.match(page, new RegExp(`^\\| ${status} \\|`, 'm'))
})

async function hasCurl(): Promise<boolean> {
  return run('curl', ['--version']).then(
    () => true,
    () => false,
  )
}

test('its curl commands run', { skip: (await hasCurl()) ? false : 'curl is not here' }, async () => {
  const made = await rig({ organisation: 'acme' })
  try {
    const commands = /```sh\n(api\(\) \{[\s\S]*?)```/.exec(page)?.[1] ?? assert.fail('the page has curl commands')
    const env = { ...process.env, URL: `http://127.0.0.1:${made.port}`, KEYTRAIL_TOKEN: 'test' }
    const { stdout } = await run('sh', ['-c', commands], { env })
    const answers = stdout
      .replaceAll('}{', '}\n{')
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.equal(answers.length, 3)
    assert.deepEqual([answers[0]?.['slug'], answers[2]?.['slug']], ['orders', 'orders'])
    assert.match(String(answers[1]?.['ciphertext']), /^keytrail:v1:/)
    assert.match(made.results().at(-1)?.context?.userAgent ?? '', /^curl\//)
  } finally {
    await made.close()
  }
})
