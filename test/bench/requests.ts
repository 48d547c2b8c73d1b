/** What a browser's request says of itself. */
import type { RequestContext } from '../../src/model/context.ts'

export const browser: RequestContext = {
  actor: { type: 'user', id: 'usr-7f3k2m9q4w8x', name: 'Alice Example' },
  clientIp: '2001:db8:85a3::8a2e:370:7334',
  userAgent:
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
  requestId: '6f1a3c5e-9d2b-4e8f-a7c1-0b3d5f7e9a1c',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  method: 'POST',
  route: '/v1/orders/{orderId}/payment',
}
