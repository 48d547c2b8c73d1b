/** @node Tokens and processes: several that change one key, one that ends without a word, and this one while the token works. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { KmsClient } from '../../../src/client.ts'
import type { Pkcs11Kms } from '../../../src/providers/pkcs11/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { fromSource } from '../../from-source.mjs'
import { here, newToken, noToken, pin, softHsm, type Token } from './token.ts'

describe('processes', { skip: noToken }, () => {
  let token: Token
  let provider: Pkcs11Kms
  let kms: KmsClient

  before(async () => {
    token = newToken()
    provider = await token.open()
    kms = new KmsClient({ provider, audit: { required: [memorySink()] } })
    await kms.createKey({ slug: 'contested', keyType: 'aes256-gcm96' })
    await kms.createKey({ slug: 'mac', keyType: 'hmac-sha256' })
    await kms.createKey({ slug: 'big', keyType: 'rsa-4096' })
  })
  after(async () => {
    await kms.close()
    await provider.close()
    token.remove()
  })

  function start(what: string) {
    const args = [...fromSource, join(here, 'rotator.ts'), what, token.label, pin, softHsm]
    const child = spawn(process.execPath, args, { env: token.env, stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      said += text
    })
    const exit = new Promise<number | null>((resolve) => child.on('exit', resolve))
    return {
      child,
      exit,
      said: () => said,
      async ready() {
        const output = () => new Promise((resolve) => child.stdout.once('data', resolve))
        while (!said.includes('\n')) {
          const ended = await Promise.race([output().then(() => false), exit.then(() => true)])
          assert.ok(!ended, 'the process ended before it was ready')
        }
      },
    }
  }

  test('of four that rotate a key at the same moment, at most one makes the version, and nobody makes it twice', async () => {
    const all: ReturnType<typeof start>[] = []
    // One after another: SoftHSM now and then refuses processes that log in at the same moment, with CKR_GENERAL_ERROR.
    for (let count = 0; count < 4; count++) {
      const one = start('rotate')
      await one.ready()
      all.push(one)
    }
    for (const { child } of all) child.stdin.end('go\n')
    for (const { exit } of all) assert.equal(await exit, 0)
    const said = all.map((one) => one.said().split('\n')[1])
    const made = said.filter((line) => line === 'made 2').length
    assert.ok(made <= 1, said.join(', '))
    assert.equal(said.filter((line) => line === 'VERSION_CONFLICT').length, 4 - made, said.join(', '))
    // They may all have made way for each other: then somebody tries again.
    if (made === 0) await kms.rotate({ key: 'contested' })
    const listed = token.tool('--list-objects', '--type', 'secrkey')
    assert.equal(listed.split('contested/v2').length - 1, 1)
    assert.ok(!token.tool('--list-objects', '--type', 'data').includes('claim of'))
    assert.equal((await kms.encrypt({ key: 'contested', plaintext: new Uint8Array(1), keyVersion: 2 })).keyVersion, 2)
  })

  test('one that closes nothing still ends, and well', async () => {
    const one = start('use')
    assert.equal(await one.exit, 0)
    assert.equal(one.said(), 'done\n')
  })

  test('this thread goes on while fifty RSA-4096 signatures are made', async () => {
    const order: string[] = []
    let ticks = 0
    let signing = true
    const tick = () => {
      ticks += 1
      if (ticks <= 20) order.push('tick')
      if (signing) setImmediate(tick)
    }
    const all = Array.from({ length: 50 }, () =>
      kms.sign({ key: 'big', input: new Uint8Array(1) }).then(() => order.push('signed')),
    )
    setImmediate(tick)
    await Promise.all(all)
    signing = false
    // Twenty turns of the loop have passed before the last of them, and many more between the first and the last.
    assert.equal(order.filter((what) => what === 'signed').length, 50)
    assert.ok(order.indexOf('tick') < order.indexOf('signed'))
    assert.ok(order.lastIndexOf('tick') < order.lastIndexOf('signed'))
    assert.ok(ticks > 50, `${ticks} turns`)
  })

  test('making an RSA-4096 key blocks nothing either', async () => {
    let turns = 0
    const timer = setInterval(() => {
      turns += 1
    }, 1)
    const made = kms.createKey({ slug: 'bigger', keyType: 'rsa-4096' }).then(() => 'made')
    const mac = kms.hmac({ key: 'mac', input: new Uint8Array(1) }).then(() => 'mac')
    assert.equal(await Promise.race([made, mac]), 'mac')
    await made
    clearInterval(timer)
    assert.ok(turns > 5)
  })
})

test('without its package the provider says what to install', async () => {
  // A copy beside no node_modules but the four that the core needs.
  const root = join(here, '../../..')
  const copy = mkdtempSync(join(tmpdir(), 'keytrail-hsm-less-'))
  try {
    cpSync(join(root, 'src'), join(copy, 'src'), { recursive: true })
    cpSync(join(root, 'package.json'), join(copy, 'package.json'))
    mkdirSync(join(copy, 'node_modules'))
    for (const name of ['@noble/ciphers', '@noble/curves', '@noble/hashes', 'uuid'])
      cpSync(join(root, 'node_modules', name), join(copy, 'node_modules', name), { recursive: true })
    const program = `
      import { openPkcs11 } from ${JSON.stringify(join(copy, 'src/providers/pkcs11/index.ts'))}
      openPkcs11({ module: '/x.so', token: 'x', pin: 'x' }).catch((error) => console.log(error.code, error.message))`
    const args = [...fromSource, '--input-type=module', '--eval', program]
    const child = spawn(process.execPath, args, { cwd: copy, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    for await (const text of child.stdout) said += String(text)
    assert.match(said, /^PROVIDER_UNAVAILABLE .*npm i pkcs11js/)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})
