import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { CallInfo, KmsProvider } from '../../src/model/provider.ts'
import type { AuditSink } from '../../src/model/sink.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import {
  type ConformanceCase,
  fakeProvider,
  type ProviderUnderTest,
  providerConformance,
  type SinkUnderTest,
  sinkConformance,
} from '../../src/testing/index.ts'

const scope = { region: 'nl-01', project: 'billing' }

async function keysIn(provider: KmsProvider): Promise<ProviderUnderTest> {
  const call: CallInfo = {
    operationID: '0199c9d0-1b00-7000-8000-000000000000',
    scope,
    signal: new AbortController().signal,
  }
  const { createKey } = provider.operations
  await createKey?.({ slug: 'orders', keyType: 'aes256-gcm96' }, call)
  await createKey?.({ slug: 'archive', keyType: 'xaes256-gcm' }, call)
  await createKey?.({ slug: 'releases', keyType: 'ed25519' }, call)
  await createKey?.({ slug: 'cookies', keyType: 'hmac-sha256' }, call)
  return { provider, scope, keys: { encrypt: 'orders', other: 'archive', sign: 'releases', mac: 'cookies' } }
}

for (const { name, run } of providerConformance(async () => keysIn(memoryKms()))) {
  test(`memory KMS: ${name}`, run)
}

for (const { name, run } of providerConformance(async () => {
  const path = mkdtempSync(join(tmpdir(), 'keytrail-keys-'))
  const local = await openLocalKms({ path, rootKey: randomBytes(32) })
  return {
    ...(await keysIn(local)),
    async dispose() {
      await local.close()
      rmSync(path, { recursive: true })
    },
  }
})) {
  test(`local KMS: ${name}`, run)
}

for (const { name, run } of providerConformance(async () => keysIn(fakeProvider()))) {
  test(`fake provider: ${name}`, run)
}

test('a provider that can do nothing conforms', async () => {
  assert.deepEqual(
    await failuresOf(providerConformance(() => ({ provider: { name: 'none', operations: {} }, keys: {} }))),
    [],
  )
})

/** A sink that keeps entries and can refuse, with one rule of the contract broken. */
function brokenSink(change: (kept: AuditEntry[]) => Partial<AuditSink>): () => SinkUnderTest {
  return () => {
    const kept: AuditEntry[] = []
    let refusing = false
    const good: AuditSink = {
      name: 'broken',
      durability: 'memory',
      write(entries) {
        kept.push(...entries)
      },
      async close() {
        sink = { ...sink, write: () => Promise.reject(new KmsError('CLOSED', 'closed')) }
      },
    }
    let sink: AuditSink = { ...good, ...change(kept) }
    return {
      sink: {
        ...sink,
        write(entries) {
          if (!refusing) return sink.write(entries)
          refusing = false
          throw new KmsError('AUDIT_REFUSED', 'refused')
        },
        close: async () => sink.close?.(),
      },
      accepted: () => kept,
      refuseNext: () => {
        refusing = true
      },
    }
  }
}

test('a good sink conforms', async () => {
  assert.deepEqual(await failuresOf(sinkConformance(brokenSink(() => ({})))), [])
})

const brokenSinks: Readonly<
  Record<string, readonly [caught: RegExp, change: (kept: AuditEntry[]) => Partial<AuditSink>]>
> = {
  'has no name': [/name must be a text/, () => ({ name: '' })],
  // A durability that is none, as a JavaScript author might write.
  'promises something else': [
    /durability must be one of/,
    () => ({ durability: 'forever' as AuditSink['durability'] }),
  ],
  'drops the last entry of a batch': [
    /in order, when write returns/,
    (kept) => ({ write: (entries) => void kept.push(...entries.slice(0, -1)) }),
  ],
  'reverses a batch': [
    /in order, when write returns/,
    (kept) => ({ write: (entries) => void kept.push(...[...entries].reverse()) }),
  ],
  'keeps only the newest batch': [
    /one after another without a gap/,
    (kept) => ({ write: (entries) => void kept.splice(0, kept.length, ...entries) }),
  ],
  'has not written yet when it returns': [
    /in order, when write returns/,
    (kept) => ({
      write: (entries) => void setImmediate(() => kept.push(...entries)),
    }),
  ],
  'keeps the arrays that it was given': [
    /does not keep the array/,
    (kept) => {
      const arrays: (readonly AuditEntry[])[] = []
      return {
        write(entries) {
          arrays.push(entries)
          kept.splice(0, kept.length, ...arrays.flat())
        },
      }
    },
  ],
  'changes entries': [
    /does not change what it was given/,
    (kept) => ({
      write(entries) {
        // Against the type, on purpose.
        for (const entry of entries) (entry as { region: string }).region = 'elsewhere'
        kept.push(...entries)
      },
    }),
  ],
  'loses text that it cannot encode': [
    /hostile text/,
    (kept) => ({
      write: (entries) =>
        void kept.push(...entries.map((entry) => ({ ...entry, keySlug: entry.keySlug?.trim() ?? '' }))),
    }),
  ],
  'refuses what it has seen': [
    /seen before/,
    (kept) => ({
      write(entries) {
        if (entries.some(({ eventID }) => kept.some((other) => other.eventID === eventID))) throw new Error('seen')
        kept.push(...entries)
      },
    }),
  ],
  'refuses large entries': [
    /16 KiB/,
    (kept) => ({
      write(entries) {
        if (entries.some((entry) => JSON.stringify(entry).length > 8_192)) throw new Error('too large')
        kept.push(...entries)
      },
    }),
  ],
  'writes after close': [/closes twice.*must be refused/, () => ({ close: async () => undefined })],
  'cannot close twice': [
    /closes twice/,
    () => {
      let closed = 0
      return {
        close: async () => {
          if (closed++ > 0) throw new Error('closed already')
        },
      }
    },
  ],
  'answers openIntents with results': [
    /intents only/,
    () => ({ openIntents: async () => [{ phase: 'result' } as AuditEntry] }),
  ],
}

for (const [what, [caught, change]] of Object.entries(brokenSinks)) {
  test(`a sink that ${what} does not conform`, async () => {
    assert.match((await failuresOf(sinkConformance(brokenSink(change)))).join('\n'), caught)
  })
}

test('a sink that refuses with a foreign error, or swallows what it refused, does not conform', async () => {
  const make = (refusal: () => void) => () => {
    const kept = memorySink()
    let refusing = false
    const sink: AuditSink = {
      ...kept,
      write(entries) {
        if (!refusing) return kept.write(entries)
        refusing = false
        refusal()
      },
    }
    return {
      sink,
      accepted: () => kept.entries,
      refuseNext: () => {
        refusing = true
      },
    }
  }
  const foreign = () => {
    throw new Error('disk full')
  }
  assert.match((await failuresOf(sinkConformance(make(foreign)))).join(), /KmsError/)
  assert.match((await failuresOf(sinkConformance(make(() => undefined)))).join(), /must be refused/)
})

type Operations = KmsProvider['operations']

const brokenProviders: Readonly<
  Record<string, readonly [caught: RegExp, change: (real: Operations) => Partial<Operations>]>
> = {
  'has a hole instead of leaving out': [
    /sign must be a function/,
    () => ({ sign: null as unknown as NonNullable<Operations['sign']> }),
  ],
  'has an operation that nobody knows': [
    /unseal is no operation/,
    () => ({ unseal: () => undefined }) as Partial<Operations>,
  ],
  'returns a slice of a larger buffer': [
    /own their whole ArrayBuffer/,
    ({ encrypt }) => ({
      encrypt: async (input, call) => {
        const output = await must(encrypt)(input, call)
        return { ...output, ciphertext: Uint8Array.of(0, ...output.ciphertext).subarray(1) }
      },
    }),
  ],
  'returns a Buffer': [
    /plain Uint8Arrays/,
    ({ decrypt }) => ({
      decrypt: async (input, call) => {
        const output = await must(decrypt)(input, call)
        return { ...output, plaintext: Buffer.from(output.plaintext.slice().buffer) }
      },
    }),
  ],
  'wipes its input': [
    /must not change the bytes of its input/,
    ({ encrypt }) => ({
      encrypt: async (input, call) => {
        const output = await must(encrypt)({ ...input, plaintext: input.plaintext.slice() }, call)
        input.plaintext.fill(0)
        return output
      },
    }),
  ],
  'ignores the encryption context': [
    /same encryption context.*must be refused/,
    ({ encrypt, decrypt }) => ({
      encrypt: ({ key, plaintext }, call) => must(encrypt)({ key, plaintext }, call),
      decrypt: ({ key, ciphertext }, call) => must(decrypt)({ key, ciphertext }, call),
    }),
  ],
  'tells why it cannot decrypt': [
    /one message for every failure/,
    ({ decrypt }) => ({
      decrypt: (input, call) => {
        if (input.ciphertext.length < 40) throw new KmsError('INVALID_CIPHERTEXT', 'the ciphertext is too short')
        return must(decrypt)(input, call)
      },
    }),
  ],
  'throws a foreign error': [
    /refuse with a KmsError/,
    () => ({
      decrypt: () => {
        throw new Error('bad decrypt')
      },
    }),
  ],
  'quotes its input in errors': [
    /must not quote its input/,
    () => ({
      decrypt: ({ ciphertext }) => {
        throw new KmsError('INVALID_CIPHERTEXT', `not a ciphertext: ${Buffer.from(ciphertext).toString()}`)
      },
    }),
  ],
  'throws for a malformed signature': [
    /signs what it verifies/,
    ({ verify }) => ({
      verify: (input, call) => {
        if (input.signature.length !== 64) throw new KmsError('INVALID_INPUT', 'signature must be 64 bytes')
        return must(verify)(input, call)
      },
    }),
  ],
  'accepts every signature': [
    /false for another input/,
    ({ verify }) => ({
      verify: async (input, call) => ({ ...(await must(verify)(input, call)), valid: true }),
    }),
  ],
  'accepts every MAC': [
    /false for another input/,
    ({ verifyHmac }) => ({
      verifyHmac: async (input, call) => ({ ...(await must(verifyHmac)(input, call)), valid: true }),
    }),
  ],
  'repeats itself': [
    /two ciphertexts/,
    ({ encrypt }) => {
      const made = new Map<string, ReturnType<NonNullable<typeof encrypt>>>()
      return {
        encrypt: (input, call) => {
          const known = made.get(input.key) ?? must(encrypt)(input, call)
          made.set(input.key, known)
          return known
        },
      }
    },
  ],
  'names no version': [
    /integer of 1 or more/,
    ({ encrypt }) => ({
      encrypt: async (input, call) => ({ ...(await must(encrypt)(input, call)), keyVersion: 0 }),
    }),
  ],
  'names another key': [
    /the one resolved/,
    ({ encrypt }) => ({
      encrypt: async (input, call) => {
        const output = await must(encrypt)(input, call)
        return { ...output, key: { ...output.key, identity: 'kms-other' } }
      },
    }),
  ],
  'rotates in name only': [
    /use the newest version/,
    ({ rotate, describeKey }) => ({
      rotate: async (input, call) => {
        const output = await must(describeKey)({ key: input.key }, call)
        return { ...output, keyVersion: output.key.latestVersion + (rotate === undefined ? 0 : 1) }
      },
    }),
  ],
  'ignores expectLatestVersion': [
    /rotates to the next.*must be refused/,
    ({ rotate }) => ({ rotate: ({ key }, call) => must(rotate)({ key }, call) }),
  ],
  'gives a data key that does not match': [
    /open to the data key/,
    ({ generateDataKey }) => ({
      generateDataKey: async (input, call) => {
        const output = await must(generateDataKey)(input, call)
        return { ...output, plaintext: new Uint8Array(output.plaintext.length) }
      },
    }),
  ],
}

const untelling: (operations: KmsProvider['operations']) => KmsProvider['operations'] = ({
  encrypt,
  decrypt,
  rotate,
}) => ({
  encrypt: async (input, call) => unversioned(await must(encrypt)(input, call)),
  decrypt: async (input, call) => unversioned(await must(decrypt)(input, call)),
  rotate: async (input, call) => unversioned(await must(rotate)(input, call)),
})

function unversioned<T extends { readonly keyVersion?: number }>({ keyVersion: _untold, ...output }: T) {
  return output
}

test('a provider whose service does not tell versions conforms when it says so, and only then', async () => {
  const make = (versions: 'told' | 'untold') =>
    providerConformance(async () => {
      const real = memoryKms()
      return {
        ...(await keysIn({ ...real, operations: { ...real.operations, ...untelling(real.operations) } })),
        versions,
      }
    })
  assert.deepEqual(await failuresOf(make('untold')), [])
  assert.match((await failuresOf(make('told'))).join('\n'), /keyVersion must be an integer/)
})

for (const [what, [caught, change]] of Object.entries(brokenProviders)) {
  test(`a provider that ${what} does not conform`, async () => {
    const cases = providerConformance(async () => {
      const real = memoryKms()
      return keysIn({ ...real, operations: { ...real.operations, ...change(real.operations) } })
    })
    assert.match((await failuresOf(cases)).join('\n'), caught)
  })
}

test('a case disposes of what it made, failed or not', async () => {
  let disposed = 0
  const cases = sinkConformance(() => ({
    sink: { name: '', durability: 'memory', write: () => undefined },
    accepted: () => [],
    dispose: () => {
      disposed++
    },
  }))
  assert.notDeepEqual(await failuresOf(cases), [])
  assert.equal(disposed, cases.length)
})

async function failuresOf(cases: readonly ConformanceCase[]): Promise<readonly string[]> {
  const failures: string[] = []
  for (const { name, run } of cases) {
    await run().catch((error: unknown) => failures.push(`${name}: ${String(error)}`))
  }
  return failures
}

function must<T>(operation: T | undefined): T {
  assert.ok(operation)
  return operation
}
