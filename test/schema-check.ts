/** @node The shipped JSON Schema as a function, compiled once for all test processes and kept: compiling takes each a quarter second. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ValidateFunction } from 'ajv'

const require = createRequire(import.meta.url)
const folder = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.cache/keytrail-schema')

/** Whether a value matches `schema`, strictly read; `errors` are all that are at fault. */
export function schemaCheck(schema: string): ValidateFunction {
  const versions = ['ajv', 'ajv-formats'].map((name) => readFileSync(require.resolve(`${name}/package.json`)))
  const hash = createHash('sha256').update(schema)
  for (const version of versions) hash.update(version)
  const path = join(folder, `${hash.digest('hex')}.cjs`)
  try {
    return require(path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) throw error
  }
  mkdirSync(folder, { recursive: true })
  // Other processes read: the name must never stand for a part of the text.
  writeFileSync(`${path}.${process.pid}`, compiled(schema))
  renameSync(`${path}.${process.pid}`, path)
  return require(path)
}

function compiled(schema: string): string {
  const { Ajv2020 }: typeof import('ajv/dist/2020.js') = require('ajv/dist/2020.js')
  const formats: typeof import('ajv-formats') = require('ajv-formats')
  const standalone: typeof import('ajv/dist/standalone/index.js') = require('ajv/dist/standalone')
  const ajv = new Ajv2020({ strict: true, allErrors: true, code: { source: true } })
  formats.default(ajv)
  return standalone.default(ajv, ajv.compile(JSON.parse(schema)))
}
