/** @node A client, a key, a sink that does as it is told, and an envelope over them. */
import { KmsClient, type KmsClientOptions } from '../../../src/client.ts'
import { type EnvelopeOptions, envelope } from '../../../src/integrations/envelope/index.ts'
import { fakeClock } from '../../../src/testing/clock.ts'
import { type FakeProvider, fakeProvider } from '../../../src/testing/provider.ts'
import { summary } from '../../../src/testing/summary.ts'
import { puppet } from '../../audit/puppet.ts'

export interface RigOptions extends Partial<Omit<EnvelopeOptions, 'kms'>> {
  readonly client?: Partial<KmsClientOptions>
  readonly provider?: FakeProvider
}

export async function rig({ client, provider = fakeProvider(), ...options }: RigOptions = {}) {
  const sink = puppet()
  const clock = fakeClock()
  const kms = new KmsClient({
    provider,
    audit: { required: [sink], clock, heartbeatMs: 0, floods: { perWindow: Number.POSITIVE_INFINITY } },
    region: 'nl-01',
    project: 'billing',
    ...client,
  })
  await kms.createKey({ slug: 'orders' })
  const orders = envelope({ kms, key: 'orders', ...options })
  /** Entries about the key, without those of its making. */
  const entries = () => sink.accepted.filter(({ resourceType }) => resourceType === 'kms_key').slice(2)
  return {
    sink,
    clock,
    provider,
    kms,
    orders,
    entries,
    lines: () => summary(entries()),
    /** Calls that reached the provider. */
    asked: (operation: string) => provider.calls.filter(({ asked }) => asked === operation).length,
  }
}

export function counted(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => at % 251)
}

/** As a source of pieces of `size`. */
export function source(bytes: Uint8Array, size: number = Math.max(1, bytes.length)): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + size))
      at += size
    },
  })
}

/** All that comes out, and the error it ends with, if it does. */
export async function drained(readable: ReadableStream): Promise<{ bytes: Uint8Array; error?: unknown }> {
  const parts: Uint8Array[] = []
  const end = (error?: unknown) => ({
    bytes: new Uint8Array(Buffer.concat(parts)),
    ...(error !== undefined && { error }),
  })
  try {
    for await (const part of readable) parts.push(part as Uint8Array)
    return end()
  } catch (error) {
    return end(error)
  }
}
