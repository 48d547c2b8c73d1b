/** @node What goes wrong with a token: the real SoftHSM2 behind a module that fails on demand. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { KmsClient } from '../../../src/client.ts'
import { evidenceOf, KmsError } from '../../../src/model/errors.ts'
import { openPkcs11, type Pkcs11Kms, type Pkcs11Options } from '../../../src/providers/pkcs11/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { summary } from '../../../src/testing/summary.ts'
import { newShim, noCompiler, type Shim } from './shim.ts'
import { initToken, newToken, noToken, pin, softHsm, type Token } from './token.ts'

const plaintext = new TextEncoder().encode('correct horse battery staple')

async function refusal(act: () => Promise<unknown>): Promise<KmsError> {
  try {
    await act()
  } catch (error) {
    assert.ok(error instanceof KmsError, String(error))
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes('correct horse'))
    return error
  }
  throw new assert.AssertionError({ message: 'was not refused' })
}

describe('opening', { skip: noToken }, () => {
  let token: Token
  before(() => {
    token = newToken()
  })
  after(() => token.remove())

  test('options that make no sense are refused before anything is loaded', async () => {
    const bad: readonly Partial<Pkcs11Options>[] = [
      { module: '' },
      { token: '' },
      { token: {} },
      { pin: '' },
      { sessions: 0 },
      { sessions: 65 },
      { maxWaiting: 0 },
    ]
    for (const options of bad) assert.equal((await refusal(() => token.open(options))).code, 'INVALID_INPUT')
  })

  test('a module that is not there, or is none', async () => {
    for (const module of ['/nowhere/libhsm.so', join(token.folder, 'softhsm2.conf')]) {
      const { code, message } = await refusal(() => token.open({ module }))
      assert.equal(code, 'PROVIDER_UNAVAILABLE')
      assert.ok(message.includes(module))
    }
  })

  test('a token that is not there, and one of two that are called alike', async () => {
    const { code, message } = await refusal(() => token.open({ token: 'no such token' }))
    assert.equal(code, 'PROVIDER_UNAVAILABLE')
    assert.match(message, /no slot of the module holds a token labelled 'no such token'/)
    initToken(token.env, token.label)
    assert.equal((await refusal(() => token.open())).code, 'INVALID_INPUT')
    initToken(token.env, 'another')
    const provider = await token.open({ token: 'another' })
    const { serial } = provider.token
    await provider.close()
    const bySerial = await token.open({ token: { label: 'another', serial } })
    await bySerial.close()
  })

  test('a PIN that fails to come, or is none', async () => {
    const failing = await refusal(() =>
      token.open({ token: 'another', pin: () => Promise.reject(new Error(`was ${pin}`)) }),
    )
    assert.equal(failing.code, 'ACCESS_DENIED')
    assert.ok(!inspect(failing, { depth: 9 }).includes(pin))
    assert.equal((await refusal(() => token.open({ token: 'another', pin: async () => '' }))).code, 'ACCESS_DENIED')
  })

  test('a token that vanishes after it was opened', async () => {
    const token = newToken('vanishing')
    const provider = await openPkcs11({ module: softHsm, token: token.label, pin })
    const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
    await kms.createKey({ slug: 'gone', keyType: 'aes256-gcm96' })
    rmSync(join(token.folder, 'tokens'), { recursive: true, force: true })
    const { code } = await refusal(() => kms.createKey({ slug: 'next', keyType: 'aes256-gcm96' }))
    assert.equal(code, 'PROVIDER_UNAVAILABLE')
    await provider.close()
    token.remove()
  })
})

describe('with a module that fails', { skip: noToken || noCompiler }, () => {
  let token: Token
  let shim: Shim
  const open: Pkcs11Kms[] = []
  const sink = memorySink()

  before(async () => {
    token = newToken()
    shim = newShim(token)
    const { kms } = await start()
    await kms.createKey({ slug: 'aes', keyType: 'aes256-gcm96' })
    await kms.createKey({ slug: 'rsa', keyType: 'rsa-2048' })
    await kms.createKey({ slug: 'ec', keyType: 'ecdsa-p256' })
    await kms.createKey({ slug: 'mac', keyType: 'hmac-sha256' })
    await closeAll()
  })
  afterEach(closeAll)

  async function closeAll(): Promise<void> {
    shim.fail()
    await Promise.all(open.splice(0).map((provider) => provider.close()))
  }
  after(() => token.remove())

  async function start(options: Partial<Pkcs11Options> = {}) {
    const provider = await openPkcs11({ module: shim.module, token: token.label, pin, sessions: 1, ...options })
    open.push(provider)
    const kms = new KmsClient({ provider, audit: { required: [sink] } })
    await kms.listKeys({})
    sink.clear()
    return { provider, kms }
  }

  describe('the PIN', () => {
    test('that is wrong is one try, told as such, and the right one works afterwards', async () => {
      shim.fail()
      const error = await refusal(() => start({ pin: 'wrong-pin-1234', sessions: 4 }))
      assert.equal(error.code, 'ACCESS_DENIED')
      assert.match(error.message, /refused the PIN/)
      assert.equal(shim.calls('C_Login'), 1)
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes('wrong-pin'))
      const { kms } = await start()
      await kms.encrypt({ key: 'aes', plaintext })
      assert.equal(shim.calls('C_Login'), 2)
    })

    test('that is locked says so', async () => {
      shim.fail('C_Login rv 0xa4 1')
      const { code, message } = await refusal(() => start())
      assert.equal(code, 'ACCESS_DENIED')
      assert.match(message, /locked after too many/)
    })

    test('that is refused when a session is opened again is never tried once more', async () => {
      const { kms } = await start()
      shim.fail('C_Sign finalize 0 1', 'C_Login rv 0xa0 -1')
      const calls = Array.from({ length: 4 }, () => refusal(() => kms.hmac({ key: 'mac', input: plaintext })))
      for (const { code } of await Promise.all(calls)) assert.equal(code, 'ACCESS_DENIED')
      assert.equal((await refusal(() => kms.hmac({ key: 'mac', input: plaintext }))).code, 'ACCESS_DENIED')
      assert.equal(shim.calls('C_Login'), 1)
    })

    test('is asked for anew when it is needed, and not kept in between', async () => {
      let asked = 0
      const { kms } = await start({
        pin: async () => {
          asked += 1
          return pin
        },
      })
      await kms.hmac({ key: 'mac', input: plaintext })
      assert.equal(asked, 1)
      shim.fail('C_Sign finalize 0 1')
      await kms.hmac({ key: 'mac', input: plaintext })
      assert.equal(asked, 2)
    })
  })

  describe('a session', () => {
    for (const [name, rv] of [
      ['CKR_SESSION_HANDLE_INVALID', '0xb3'],
      ['CKR_SESSION_CLOSED', '0xb0'],
      ['CKR_DEVICE_REMOVED', '0x32'],
      ['CKR_USER_NOT_LOGGED_IN', '0x101'],
      ['CKR_OPERATION_ACTIVE', '0x90'],
    ] as const) {
      test(`that is lost (${name}) is opened again, and the call tried a second time`, async () => {
        const { kms } = await start()
        shim.fail(`C_SignInit rv ${rv} 1`)
        await kms.sign({ key: 'ec', input: plaintext })
        assert.equal(sink.entries.at(-1)?.provider?.attempts, 2)
        shim.fail(`C_SignInit rv ${rv} -1`)
        const error = await refusal(() => kms.sign({ key: 'ec', input: plaintext }))
        assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
        assert.match(error.message, new RegExp(name))
        assert.equal(shim.calls('C_SignInit'), 2)
        shim.fail()
        await kms.sign({ key: 'ec', input: plaintext })
      })
    }

    test('of a module that was finalized under us is opened, and logged in, again', async () => {
      const { kms } = await start()
      shim.fail('C_Encrypt finalize 0 1')
      const { ciphertext } = await kms.encrypt({ key: 'aes', plaintext })
      assert.equal(shim.calls('C_Login'), 1)
      assert.deepEqual((await kms.decrypt({ key: 'aes', ciphertext })).plaintext, plaintext)
    })

    test('that cannot be had at opening is PROVIDER_UNAVAILABLE', async () => {
      shim.fail('C_OpenSession rv 0xb1 1')
      const { code, message } = await refusal(() => start())
      assert.equal(code, 'PROVIDER_UNAVAILABLE')
      assert.match(message, /no session left/)
    })

    test('that cannot be had besides is done without', async () => {
      const { provider, kms } = await start({ sessions: 4 })
      shim.fail('C_OpenSession rv 0xb1 -1')
      const calls = Array.from({ length: 12 }, () => kms.hmac({ key: 'mac', input: plaintext }))
      assert.equal((await Promise.all(calls)).length, 12)
      assert.equal(provider.sessions().open, 1)
    })

    test('a call that was left half done is not in the way of the next', async () => {
      const { kms } = await start()
      // The second half never comes: an operation of the session stays open.
      shim.fail('C_Sign rv 0x30 1')
      assert.equal((await refusal(() => kms.sign({ key: 'ec', input: plaintext }))).code, 'PROVIDER_UNAVAILABLE')
      await kms.sign({ key: 'ec', input: plaintext })
      assert.equal(sink.entries.at(-1)?.provider?.attempts, 1)
    })
  })

  describe('a decryption', () => {
    test('that fails by the token and not by the ciphertext is not called an invalid ciphertext', async () => {
      const { kms } = await start()
      const { ciphertext } = await kms.encrypt({ key: 'aes', plaintext })
      // Instead of the call, which leaves its operation open, and after it.
      for (const action of ['rv', 'after'] as const) {
        for (const rv of ['0x05', '0x06', '0x30', '0x31']) {
          shim.fail(`C_Decrypt ${action} ${rv} -1`)
          assert.equal((await refusal(() => kms.decrypt({ key: 'aes', ciphertext }))).code, 'PROVIDER_UNAVAILABLE')
        }
        // Once, and then it works: nothing was wrong with it.
        shim.fail(`C_Decrypt ${action} 0x05 1`)
        assert.deepEqual((await kms.decrypt({ key: 'aes', ciphertext })).plaintext, plaintext)
      }
    })

    test('of RSA is held to the same', async () => {
      const { kms } = await start()
      const { ciphertext } = await kms.encrypt({ key: 'rsa', plaintext })
      shim.fail('C_Decrypt after 0x05 -1')
      assert.equal((await refusal(() => kms.decrypt({ key: 'rsa', ciphertext }))).code, 'PROVIDER_UNAVAILABLE')
      shim.fail('C_Decrypt after 0x05 1')
      assert.deepEqual((await kms.decrypt({ key: 'rsa', ciphertext })).plaintext, plaintext)
      const changed = ciphertext.with(9, (ciphertext[9] ?? 0) ^ 1)
      shim.fail()
      assert.equal((await refusal(() => kms.decrypt({ key: 'rsa', ciphertext: changed }))).code, 'INVALID_CIPHERTEXT')
    })

    test('that the module calls invalid data is one, and no cause is claimed', async () => {
      const { kms } = await start()
      const { ciphertext } = await kms.encrypt({ key: 'aes', plaintext })
      shim.fail('C_Decrypt rv 0x40 1')
      const error = await refusal(() => kms.decrypt({ key: 'aes', ciphertext }))
      assert.equal(error.code, 'INVALID_CIPHERTEXT')
      assert.equal(error.message, 'ciphertext does not open with this key and encryption context')
      assert.equal(sink.entries.at(-1)?.details, undefined)
      assert.equal(sink.entries.at(-1)?.provider?.attempts, 1)
      assert.equal(sink.entries.at(-1)?.keyVersion, 1)
    })
  })

  describe('an answer', () => {
    test('of the wrong length is none', async () => {
      const { kms } = await start()
      for (const [rule, act] of [
        ['C_Encrypt short 0 1', () => kms.encrypt({ key: 'aes', plaintext })],
        ['C_Sign short 0 1', () => kms.sign({ key: 'ec', input: plaintext })],
        ['C_Sign short 0 1', () => kms.hmac({ key: 'mac', input: plaintext })],
      ] as const) {
        shim.fail(rule)
        const { code, message } = await refusal(act)
        assert.equal(code, 'PROVIDER_UNAVAILABLE')
        assert.match(message, /instead of/)
      }
    })

    test('that is no signature does not leave, nor one that the public key does not verify', async () => {
      const { kms } = await start()
      for (const action of ['zero', 'ones'] as const) {
        shim.fail(`C_Sign ${action} 0 1`)
        assert.equal((await refusal(() => kms.sign({ key: 'ec', input: plaintext }))).code, 'PROVIDER_UNAVAILABLE')
      }
      shim.fail('C_Sign zero 0 1')
      const { code, message } = await refusal(() => kms.sign({ key: 'rsa', input: plaintext }))
      assert.equal(code, 'INTERNAL')
      assert.match(message, /does not verify/)
    })

    test('of zeros is not taken for random', async () => {
      const { kms } = await start()
      shim.fail('C_GenerateRandom zero 0 -1')
      assert.equal((await refusal(() => kms.encrypt({ key: 'aes', plaintext }))).code, 'PROVIDER_UNAVAILABLE')
      assert.equal((await refusal(() => kms.generateDataKey({ key: 'rsa' }))).code, 'PROVIDER_UNAVAILABLE')
    })

    test('of a plaintext that was changed on the way does not pass', async () => {
      const { kms } = await start()
      const { ciphertext } = await kms.encrypt({ key: 'aes', plaintext })
      shim.fail('C_Decrypt ones 0 1')
      assert.equal((await refusal(() => kms.decrypt({ key: 'aes', ciphertext }))).code, 'INVALID_CIPHERTEXT')
      assert.equal(sink.entries.at(-1)?.details?.decryptFailure, 'commitment_mismatch')
    })
  })

  describe('a mechanism', () => {
    test('that the token lacks leaves out what needs it, or is named', async () => {
      shim.fail(
        'C_GetMechanismList hide 0x1087 -1',
        'C_GetMechanismList hide 0x9 -1',
        'C_GetMechanismList hide 0x1041 -1',
      )
      const { provider, kms } = await start()
      for (const operation of ['encrypt', 'decrypt', 'generateDataKey', 'reEncrypt'] as const)
        assert.equal(provider.operations[operation], undefined)
      assert.equal((await refusal(() => kms.encrypt({ key: 'aes', plaintext }))).code, 'UNSUPPORTED_OPERATION')
      const { code, message } = await refusal(() => kms.sign({ key: 'ec', input: plaintext }))
      assert.equal(code, 'UNSUPPORTED_OPERATION')
      assert.match(message, /CKM_ECDSA/)
      await kms.sign({ key: 'rsa', input: plaintext })
    })

    test('that is listed and does not work counts as lacking', async () => {
      shim.fail('C_EncryptInit rv 0x70 -1')
      const { kms } = await start()
      const { code, message } = await refusal(() => kms.encrypt({ key: 'aes', plaintext }))
      assert.equal(code, 'UNSUPPORTED_OPERATION')
      assert.match(message, /CKM_AES_GCM/)
    })

    test('to make a key of that type is named, too', async () => {
      shim.fail('C_GetMechanismList hide 0x1080 -1')
      const { kms } = await start()
      const { code, message } = await refusal(() => kms.createKey({ slug: 'never', keyType: 'aes256-gcm96' }))
      assert.equal(code, 'UNSUPPORTED_OPERATION')
      assert.match(message, /CKM_AES_KEY_GEN/)
    })
  })

  describe('a change', () => {
    test('that the token refuses has made nothing', async () => {
      const { kms } = await start()
      shim.fail('C_GenerateKey rv 0x30 1')
      assert.equal((await refusal(() => kms.rotate({ key: 'aes' }))).code, 'PROVIDER_UNAVAILABLE')
      assert.deepEqual(summary(sink.entries), ['kms.rotate pending aes', 'kms.rotate failure aes PROVIDER_UNAVAILABLE'])
      assert.equal((await kms.describeKey({ key: 'aes' })).key.latestVersion, 1)
    })

    test('that may have been made leaves its intent open, and outcomeOf knows better', async () => {
      const { provider, kms } = await start()
      await kms.createKey({ slug: 'open-intent', keyType: 'aes256-gcm96' })
      sink.clear()
      shim.fail('C_GenerateKey after 0x30 1')
      assert.equal((await refusal(() => kms.rotate({ key: 'open-intent' }))).code, 'OUTCOME_UNAUDITED')
      assert.deepEqual(summary(sink.entries), ['kms.rotate pending open-intent'])
      assert.equal(await provider.outcomeOf(String(sink.entries[0]?.operationID)), 'done')
    })

    test('goes without a claim on tokens that take no data objects', async () => {
      const { kms } = await start()
      shim.fail('C_CreateObject rv 0x13 -1')
      assert.equal((await kms.createKey({ slug: 'unclaimed', keyType: 'aes256-gcm96' })).key.latestVersion, 1)
    })

    test("waits for nobody's claim, and takes away one that is void", async () => {
      const { kms } = await start()
      const file = join(token.folder, 'claim')
      const claim = (time: number) => {
        writeFileSync(file, `${time} 0102`)
        const names = ['--label', 'claim of aes/v2', '--application-label', 'keytrail']
        token.tool('--write-object', file, '--type', 'data', ...names)
      }
      claim(Date.now())
      assert.equal((await refusal(() => kms.rotate({ key: 'aes' }))).code, 'VERSION_CONFLICT')
      token.tool('--delete-object', '--type', 'data', '--label', 'claim of aes/v2')
      claim(Date.now() - 3_600_000)
      assert.equal((await kms.rotate({ key: 'aes' })).keyVersion, 2)
      assert.ok(!token.tool('--list-objects', '--type', 'data').includes('claim of'))
    })
  })

  describe('a slow token', () => {
    test('a call that waits for a session is given up before it gets one', async () => {
      const { provider, kms } = await start()
      shim.fail('C_Sign delay 500 1')
      const slow = kms.hmac({ key: 'mac', input: plaintext })
      const late = await refusal(() => kms.hmac({ key: 'mac', input: plaintext }, { deadlineMs: 100 }))
      assert.equal(late.code, 'DEADLINE_EXCEEDED')
      assert.equal(provider.sessions().waiting, 0)
      await slow
      assert.equal(shim.calls('C_Sign'), 1)
    })

    test('a call inside the module cannot be broken off: its session is counted as abandoned until it comes back', async () => {
      const { provider, kms } = await start()
      shim.fail('C_Sign delay 400 1')
      const late = await refusal(() => kms.hmac({ key: 'mac', input: plaintext }, { deadlineMs: 100 }))
      assert.equal(late.code, 'DEADLINE_EXCEEDED')
      assert.deepEqual(provider.sessions(), { open: 1, busy: 1, abandoned: 1, waiting: 0, most: 1 })
      await kms.hmac({ key: 'mac', input: plaintext })
      assert.equal(provider.sessions().abandoned, 0)
    })

    test('its queue has an end', async () => {
      const { kms } = await start({ maxWaiting: 2 })
      await kms.hmac({ key: 'mac', input: plaintext })
      shim.fail('C_Sign delay 200 1')
      const calls = Array.from({ length: 5 }, () =>
        kms.hmac({ key: 'mac', input: plaintext }).then(
          () => 'done',
          (error: KmsError) => error.code,
        ),
      )
      assert.deepEqual((await Promise.all(calls)).sort(), ['OVERLOADED', 'OVERLOADED', 'done', 'done', 'done'])
    })

    test('several sessions are several calls at a time', async () => {
      const { provider, kms } = await start({ sessions: 3 })
      while (provider.sessions().open < 3)
        await Promise.all(Array.from({ length: 6 }, () => kms.hmac({ key: 'mac', input: plaintext })))
      shim.fail('C_Sign delay 300 3')
      const calls = Array.from({ length: 3 }, () => kms.hmac({ key: 'mac', input: plaintext }))
      while (shim.calls('C_Sign') < 3) await new Promise((resolve) => setTimeout(resolve, 5))
      assert.equal(provider.sessions().busy, 3)
      await Promise.all(calls)
    })

    test('the time in the token is told apart from the time spent waiting for it', async () => {
      const { kms } = await start()
      shim.fail('C_Sign delay 300 1')
      await Promise.all([kms.hmac({ key: 'mac', input: plaintext }), kms.hmac({ key: 'mac', input: plaintext })])
      const [slow, waited] = sink.entries
      assert.ok(Number(slow?.provider?.durationMs) >= 300)
      assert.ok(Number(waited?.durationMs) >= 250)
      assert.ok(Number(waited?.provider?.durationMs) < 200)
    })

    test('close waits for what is in the module', async () => {
      const { provider, kms } = await start()
      shim.fail('C_Sign delay 300 1')
      const slow = kms.hmac({ key: 'mac', input: plaintext })
      while (shim.calls('C_Sign') < 1) await new Promise((resolve) => setTimeout(resolve, 5))
      await Promise.all([provider.close(), slow])
      assert.equal(shim.calls('C_Finalize'), 1)
      assert.equal((await refusal(() => kms.hmac({ key: 'mac', input: plaintext }))).code, 'CLOSED')
    })

    test('close does not wait for ever, and finalizes nothing under a call', async () => {
      const { provider, kms } = await start({ closeTimeoutMs: 50, sessions: 2 })
      while (provider.sessions().open < 2)
        await Promise.all(Array.from({ length: 6 }, () => kms.hmac({ key: 'mac', input: plaintext })))
      shim.fail('C_Sign delay 600 1')
      const slow = kms.hmac({ key: 'mac', input: plaintext })
      while (shim.calls('C_Sign') < 1) await new Promise((resolve) => setTimeout(resolve, 5))
      await provider.close()
      assert.equal(shim.calls('C_Finalize'), 0)
      await slow
    })
  })

  describe('a thread', () => {
    test('that ends in a call fails it, and the next call has another', async () => {
      const workers = new Set<Worker>()
      const { ref } = Worker.prototype
      Worker.prototype.ref = function (this: Worker) {
        workers.add(this)
        return ref.call(this)
      }
      try {
        const { kms } = await start()
        shim.fail('C_Sign delay 200 1')
        const cut = refusal(() => kms.hmac({ key: 'mac', input: plaintext }))
        while (shim.calls('C_Sign') < 1) await new Promise((resolve) => setTimeout(resolve, 5))
        await Promise.all([...workers].map((worker) => worker.terminate()))
        const error = await cut
        assert.equal(error.code, 'PROVIDER_UNAVAILABLE')
        await kms.hmac({ key: 'mac', input: plaintext })
      } finally {
        Worker.prototype.ref = ref
      }
    })
  })

  test('evidence tells how often and how long', async () => {
    const { provider } = await start()
    shim.fail('C_Sign rv 0x30 1')
    const { signal } = new AbortController()
    const call = { operationID: '', scope: {}, signal }
    const error = await refusal(async () => provider.operations.hmac?.({ key: 'mac', input: plaintext }, call))
    const { attempts, durationMs, keyVersion } = evidenceOf(error)
    assert.equal(attempts, 1)
    assert.equal(keyVersion, 1)
    assert.ok(Number(durationMs) > 0)
  })
})
