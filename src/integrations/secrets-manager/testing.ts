/** The seam under a Secrets Manager as cases that any test runner can run. */
import { hex, utf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { SecretChange, SecretStore, StoredSecret } from './store.ts'

/** A fresh store. */
export interface SecretStoreUnderTest {
  readonly store: SecretStore
  /** The same secrets as another process finds them, after `store` was closed. Leave it out for a store that keeps nothing. */
  reopen?(): SecretStore | Promise<SecretStore>
  /** Called after the case, whatever came of it. */
  dispose?(): void | Promise<void>
}

/** Passes when `run` resolves; rejects with an error that says what the contract asks and what was found. */
export interface SecretStoreCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/**
 * Cases for a store; `make` is called once a case.
 *
 * @example
 * ```ts
 * for (const { name, run } of secretStoreConformance(() => ({ store: memorySecretStore() }))) test(name, run)
 * ```
 */
export function secretStoreConformance(
  make: () => SecretStoreUnderTest | Promise<SecretStoreUnderTest>,
): readonly SecretStoreCase[] {
  return Object.entries(cases).map(([name, check]) => ({
    name,
    async run() {
      const tested = await make()
      try {
        await check(tested)
      } finally {
        await tested.store.close?.()
        await tested.dispose?.()
      }
    },
  }))
}

const cases: Readonly<Record<string, (tested: SecretStoreUnderTest) => Promise<void>>> = {
  'has a name of its own': async ({ store }) => {
    demand(/^[\w.-]{1,64}$/.test(store.name), 'name must be 1–64 letters, digits or . _ -')
  },

  'knows nothing at first': async ({ store }) => {
    demand((await store.read('/a')) === undefined, 'read of a path that nobody wrote must be undefined')
    demandSame(await store.list({ prefix: '', after: '', limit: 10 }), [], 'list of an empty store')
  },

  'gives back what was written, field for field and byte for byte': async ({ store }) => {
    const whole = { ...example('/a/b', 1), ...everyField }
    const value = bytes(90)
    await store.write({ ...change(whole), value })
    demandSame(await store.read('/a/b'), whole, 'the secret')
    demandSame(await valueIn(store, whole, 1), hex(value), 'its value')
    demandSame(await valueIn(store, whole, 2), undefined, 'a value that it has not')
  },

  'keeps a value of a mebibyte': async ({ store }) => {
    const secret = example('/large', 1)
    const value = bytes(1024 * 1024)
    await store.write({ ...change(secret), value })
    demandSame(await valueIn(store, secret, 1), hex(value), 'the value')
  },

  'does not keep the bytes that it was given, nor give out its own': async ({ store }) => {
    const secret = example('/a', 1)
    const value = bytes(40)
    const kept = hex(value)
    await store.write({ ...change(secret), value })
    value.fill(0)
    const first = await store.readValue(secret, 1)
    first?.fill(0)
    demandSame(await valueIn(store, secret, 1), kept, 'the value')
  },

  'keeps old values beside new ones': async ({ store }) => {
    const [first, second] = [example('/a', 1), example('/a', 2)]
    await store.write({ ...change(first), value: bytes(10, 1) })
    await store.write({ ...change(second), value: bytes(10, 2) })
    demandSame(await valueIn(store, second, 1), hex(bytes(10, 1)), 'the first value')
    demandSame(await valueIn(store, second, 2), hex(bytes(10, 2)), 'the second value')
    demandSame(await store.read('/a'), second, 'the secret')
  },

  'refuses a change of what is not as expected, and changes nothing': async ({ store }) => {
    const [first, second] = [example('/a', 1), example('/a', 2)]
    await store.write({ ...change(first), value: bytes(10, 1) })
    for (const expectRevision of [0, 2]) {
      const late = { ...change(second), expectRevision, value: bytes(10, 2) }
      await demandRefused(() => store.write(late), 'VERSION_CONFLICT')
      await demandRefused(() => store.write({ ...deletion('/a', expectRevision) }), 'VERSION_CONFLICT')
    }
    await demandRefused(
      () => store.write({ ...change(second), path: '/b', secret: { ...second, path: '/b' } }),
      'VERSION_CONFLICT',
    )
    demandSame(await store.read('/a'), first, 'the secret')
    demandSame(await valueIn(store, second, 2), undefined, 'the value of a change that was refused')
  },

  'of changes at once that expect the same, makes one': async ({ store }) => {
    await store.write({ ...change(example('/a', 1)), value: bytes(10) })
    const tries = [1, 2, 3, 4].map(async (number) => {
      try {
        await store.write({ ...change(example('/a', 2), `try ${number}`), value: bytes(10, number) })
        return 'made'
      } catch (error) {
        return codeOf(error)
      }
    })
    demandSame(
      (await Promise.all(tries)).sort(),
      ['VERSION_CONFLICT', 'VERSION_CONFLICT', 'VERSION_CONFLICT', 'made'],
      'the answers',
    )
  },

  'has removed a destroyed value when it answers': async ({ store }) => {
    const secret = example('/a', 2)
    await store.write({ ...change(example('/a', 1)), value: bytes(10, 1) })
    await store.write({ ...change(secret), value: bytes(10, 2) })
    await store.write({ ...change({ ...secret, revision: 3 }), destroys: 1 })
    demandSame(await valueIn(store, secret, 1), undefined, 'the value that was destroyed')
    demandSame(await valueIn(store, secret, 2), hex(bytes(10, 2)), 'the other value')
  },

  'has removed a deleted secret with its values when it answers, and frees its path': async ({ store }) => {
    const secret = example('/a', 1)
    await store.write({ ...change(secret), value: bytes(10, 1) })
    await store.write(deletion('/a', 1))
    demandSame(await store.read('/a'), undefined, 'a deleted secret')
    demandSame(await valueIn(store, secret, 1), undefined, 'its value')
    demandSame(await store.list({ prefix: '', after: '', limit: 10 }), [], 'the list')
    const next = { ...example('/a', 1), id: 'f'.repeat(32) }
    await store.write({ ...change(next), value: bytes(10, 9) })
    demandSame(await store.read('/a'), next, 'the new secret')
    demandSame(await valueIn(store, next, 1), hex(bytes(10, 9)), 'its value')
    demandSame(await valueIn(store, secret, 1), undefined, 'the value of the old one')
  },

  'lists by path, from a place on, and no more than asked': async ({ store }) => {
    const paths = ['/A', '/a', '/a+', '/a-b', '/a.b', '/a/b', '/a/c', '/a0', '/ab', '/b', '/..', '/_'].sort()
    for (const path of [...paths].reverse()) await store.write({ ...change(example(path, 1)), value: bytes(8) })
    const listed = async (prefix: string, after: string, limit: number) =>
      (await store.list({ prefix, after, limit })).map(({ path }) => path)
    demandSame(await listed('', '', 100), paths, 'all')
    demandSame(
      await listed('/a', '', 100),
      paths.filter((path) => path.startsWith('/a')),
      'those that begin with /a',
    )
    demandSame(await listed('/a/', '', 100), ['/a/b', '/a/c'], 'those that begin with /a/')
    for (const after of ['/', '/a', '/a/\u007f', '/a1', '/zz']) {
      const rest = paths.filter((path) => path > after)
      demandSame(await listed('', after, 100), rest, `those after ${after}`)
      demandSame(await listed('', after, 3), rest.slice(0, 3), `three after ${after}`)
      demandSame(
        await listed('/a', after, 2),
        rest.filter((path) => path.startsWith('/a')).slice(0, 2),
        `two of /a after ${after}`,
      )
    }
  },

  'lists what is there all along, whatever is made and deleted meanwhile': async ({ store }) => {
    const there = Array.from({ length: 40 }, (_, at) => `/b/${at + 10}`)
    for (const path of ['/a', ...there, '/c']) await store.write({ ...change(example(path, 1)), value: bytes(8) })
    const [listed] = await Promise.all([
      store.list({ prefix: '/b/', after: '', limit: 1000 }),
      store.write(deletion('/a', 1)),
      store.write({ ...change(example('/0', 1)), value: bytes(8) }),
      store.write(deletion('/c', 1)),
    ])
    demandSame(
      listed.map(({ path }) => path),
      there,
      'the list',
    )
  },

  'knows that the last change of a path was made, also of one that was deleted, until it may forget': async ({
    store,
  }) => {
    await store.write({ ...change(example('/a', 1), 'first'), value: bytes(8) })
    demandSame(await store.outcomeOf('first'), 'done', 'the outcome of a change made')
    await store.write({ ...change(example('/b', 1), 'second'), value: bytes(8) })
    await store.write(deletion('/b', 1, 'third'))
    demandSame(await store.outcomeOf('third'), 'done', 'the outcome of a deletion made')
    demand((await store.outcomeOf('never')) !== 'done', 'a change that was never made must not be done')
    await store.forget?.()
    demandSame((await store.read('/a'))?.path, '/a', 'what there is, after forgetting')
    demandSame(await store.read('/b'), undefined, 'what was deleted, after forgetting')
  },

  'finds everything again when it is opened again': async (tested) => {
    if (tested.reopen === undefined) return
    const { store } = tested
    const secret = { ...example('/a', 2), ...everyField }
    await store.write({ ...change(example('/a', 1)), value: bytes(10, 1) })
    await store.write({ ...change(secret, 'put'), value: bytes(10, 2) })
    await store.write({ ...change(example('/b', 1)), value: bytes(10, 3) })
    await store.write(deletion('/b', 1, 'deleted'))
    await store.close?.()
    const again = await tested.reopen()
    try {
      demandSame(await again.read('/a'), secret, 'the secret')
      demandSame(await valueIn(again, secret, 1), hex(bytes(10, 1)), 'the first value')
      demandSame(await valueIn(again, secret, 2), hex(bytes(10, 2)), 'the second value')
      demandSame(await again.read('/b'), undefined, 'what was deleted')
      demandSame(await again.outcomeOf('put'), 'done', 'the outcome of a change made')
      demandSame(await again.outcomeOf('deleted'), 'done', 'the outcome of a deletion made')
      demandSame((await again.list({ prefix: '', after: '', limit: 9 })).length, 1, 'how many there are')
    } finally {
      await again.close?.()
    }
  },

  'closes twice, and refuses afterwards with a KmsError': async ({ store }) => {
    if (store.close === undefined) return
    await store.close()
    await store.close()
    await demandRefused(() => store.write({ ...change(example('/a', 1)), value: bytes(8) }), undefined)
  },
}

const everyField = {
  region: 'nl-01',
  project: 'billing',
  description: 'a "description"\n\u2028',
  labels: { team: 'billing', '': 'x' },
  policy: {
    conditions: [
      { type: 'ip', effect: 'allow', cidrs: ['10.0.0.0/8', '2001:db8::/32'] },
      { type: 'time', effect: 'deny', startHour: 22, endHour: 6, timezone: 'Europe/Amsterdam' },
    ],
  },
} as const

const moment = '2026-01-02T03:04:05.678Z'

/** The secret at `path` with so many versions, each a change of its own. */
function example(path: string, versions: number): StoredSecret {
  return {
    path,
    id: hex(utf8(path)).padEnd(32, '0').slice(0, 32),
    keyIdentity: 'kms-example',
    keySlug: 'orders',
    keyType: 'xaes256-gcm',
    latestVersion: versions,
    versions: Array.from({ length: versions }, (_, at) => ({ version: at + 1, createdAt: moment, kmsKeyVersion: 3 })),
    createdAt: moment,
    updatedAt: moment,
    revision: versions,
  }
}

/** What makes `secret` of the one before it. */
function change(secret: StoredSecret, operationID = `${secret.path} ${secret.revision}`): SecretChange {
  return { path: secret.path, operationID, expectRevision: secret.revision - 1, secret }
}

function deletion(path: string, expectRevision: number, operationID = `${path} deleted`): SecretChange {
  return { path, operationID, expectRevision }
}

function bytes(length: number, first = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (first + at) & 0xff)
}

async function valueIn(store: SecretStore, secret: StoredSecret, version: number): Promise<string | undefined> {
  const value = await store.readValue(secret, version)
  return value && hex(value)
}

/** The kit's verdict, not an error of the library: a test runner shows its message. */
function demand(met: boolean, demanded: string): void {
  if (!met) throw new Error(demanded)
}

function demandSame(found: unknown, expected: unknown, what: string): void {
  const [is, mustBe] = [found, expected].map(textOf)
  demand(is === mustBe, `${what} must be\n${mustBe}\nand is\n${is}`)
}

/** Keys in order: a store may give an object's fields in another one. */
function textOf(value: unknown): string {
  const sorted = (_: string, field: unknown): unknown =>
    typeof field === 'object' && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort())
      : field
  return JSON.stringify(value, sorted) ?? 'undefined'
}

async function demandRefused(run: () => unknown, code: string | undefined): Promise<void> {
  let refusal: unknown
  try {
    await run()
  } catch (error) {
    refusal = error
  }
  const { code: found } = refusal instanceof KmsError ? refusal : { code: undefined }
  demand(
    found !== undefined && (code === undefined || found === code),
    `must be refused with ${code ?? 'a KmsError'}, and was ${found ?? 'not'}`,
  )
}

function codeOf(error: unknown): string {
  return error instanceof KmsError ? error.code : 'no KmsError'
}
