/** @node AWS Signature Version 4, the checking side: written from its public description, with node:crypto alone. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { refusal } from './refusal.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface SignedRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

const fiveMinutes = 300_000

/** Throws what AWS answers to a request that `credentials` did not sign. */
export function checkSignature(request: SignedRequest, credentials: Credentials, region: string, now: number): void {
  const { authorization } = request.headers
  if (authorization === undefined)
    throw refusal('MissingAuthenticationTokenException', 'Request is missing Authentication Token')
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    )
  if (parts === null) throw refusal('IncompleteSignatureException', 'the Authorization header has not all its parts')
  const [, accessKeyId = '', day = '', signedRegion = '', service = '', names = '', signature = ''] = parts
  const token = request.headers['x-amz-security-token']
  if (accessKeyId !== credentials.accessKeyId || token !== credentials.sessionToken)
    throw refusal('UnrecognizedClientException', 'The security token included in the request is invalid.')
  if (signedRegion !== region || service !== 'kms')
    throw refusal(
      'InvalidSignatureException',
      `Credential should be scoped to a valid region, not '${signedRegion}'/'${service}'.`,
    )
  const stamp = String(request.headers['x-amz-date'] ?? '')
  const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (!stamp.startsWith(day) || Number.isNaN(at))
    throw refusal('IncompleteSignatureException', 'Date must be in ISO-8601 basic format')
  if (Math.abs(at - now) > fiveMinutes) throw refusal('InvalidSignatureException', `Signature expired: ${stamp}`)

  const signed = names.split(';')
  // Without these a signature would say nothing about the request.
  const needed = ['host', 'x-amz-date', 'x-amz-target', ...(token === undefined ? [] : ['x-amz-security-token'])]
  if (needed.some((name) => !signed.includes(name)))
    throw refusal('InvalidSignatureException', 'a header that must be signed is not')
  const [path = '/', query = ''] = request.url.split('?')
  const canonical = [
    request.method,
    path,
    query,
    ...signed.map(
      (name) =>
        `${name}:${String(request.headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}`,
    ),
    '',
    names,
    createHash('sha256').update(request.body).digest('hex'),
  ].join('\n')
  const scope = `${day}/${region}/kms/aws4_request`
  const text = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [day, region, 'kms', 'aws4_request'].reduce(
    (from, part) => createHmac('sha256', from).update(part).digest(),
    Buffer.from(`AWS4${credentials.secretAccessKey}`),
  )
  const expected = createHmac('sha256', key).update(text).digest()
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex')))
    throw refusal(
      'InvalidSignatureException',
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
}
