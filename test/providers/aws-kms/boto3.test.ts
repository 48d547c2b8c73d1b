/** @node A second SDK, of another language and other authors, drives the same endpoint: it cannot be bent to our provider. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import process from 'node:process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { noShared } from '../../shared.ts'
import { type KmsEndpoint, startKmsEndpoint } from './endpoint.ts'

// Debian's own Python: its python3-boto3 is there and nowhere else.
const python = '/usr/bin/python3'
const isThere = spawnSync(python, ['-c', 'import boto3']).status === 0
const skip =
  noShared || (isThere || process.env['CI'] === 'true' ? false : 'python3-boto3 is not there: no second SDK was run')

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function drive(endpoint: KmsEndpoint, secretAccessKey: string): Promise<Ended> {
  const { accessKeyId, sessionToken } = endpoint.credentials
  const script = fileURLToPath(new URL('drive.py', import.meta.url))
  const child = spawn(python, [script, endpoint.url, endpoint.region], {
    env: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      ...(sessionToken !== undefined && { AWS_SESSION_TOKEN: sessionToken }),
      // No profile of whoever runs this.
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  })
  const [out, err]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout: `${Buffer.concat(out)}`, stderr: `${Buffer.concat(err)}` }))
  })
}

describe('boto3', { skip }, () => {
  for (const [how, sessionToken] of [
    ['long-lived credentials', undefined],
    ['a session token', 'FwoGZXIvYXdzEXAMPLETOKEN'],
  ] as const)
    test(`does every crypto operation and the lifecycle at the endpoint, with ${how}`, async () => {
      const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCY' }
      const endpoint = await startKmsEndpoint({
        credentials: sessionToken === undefined ? credentials : { ...credentials, sessionToken },
      })
      try {
        const { code, stdout, stderr } = await drive(endpoint, credentials.secretAccessKey)
        assert.equal(code, 0, stderr)
        const { answered, refused } = JSON.parse(stdout) as { answered: number; refused: number }
        assert.ok(answered > 110, `${answered} calls`)
        assert.ok(refused > 25, `${refused} refusals`)
      } finally {
        await endpoint.close()
      }
    })

  test('is refused with a wrong secret', async () => {
    const endpoint = await startKmsEndpoint()
    try {
      const { code, stderr } = await drive(endpoint, 'another')
      assert.equal(code, 1)
      assert.match(stderr, /InvalidSignatureException/)
    } finally {
      await endpoint.close()
    }
  })
})
