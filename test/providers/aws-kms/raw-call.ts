/** @node A request to the endpoint without any SDK: signed here, from the public description of Signature Version 4. */
import { createHash, createHmac } from 'node:crypto'
import type { KmsEndpoint } from './endpoint.ts'

export interface RawAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export async function rawCall(endpoint: KmsEndpoint, operation: string, input: object): Promise<RawAnswer> {
  const { url, region, credentials } = endpoint
  const body = JSON.stringify(input)
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = [stamp.slice(0, 8), region, 'kms', 'aws4_request']
  const headers = { host: new URL(url).host, 'x-amz-date': stamp, 'x-amz-target': `TrentService.${operation}` }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}`)
  const canonical = ['POST', '/', '', ...lines, '', names, sha256(body)].join('\n')
  const text = ['AWS4-HMAC-SHA256', stamp, scope.join('/'), sha256(canonical)].join('\n')
  const hmac = (key: string | Buffer, part: string) => createHmac('sha256', key).update(part).digest()
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`)
  const authorization = [
    `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope.join('/')}`,
    `SignedHeaders=${names}`,
    `Signature=${hmac(key, text).toString('hex')}`,
  ].join(', ')
  const { host: _byFetch, ...sent } = headers
  const response = await fetch(`${url}/`, {
    method: 'POST',
    body,
    headers: { ...sent, authorization, 'content-type': 'application/x-amz-json-1.1' },
  })
  const answered = await response.text()
  return { status: response.status, body: answered === '' ? {} : (JSON.parse(answered) as RawAnswer['body']) }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
