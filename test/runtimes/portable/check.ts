/** What the portable cases assert with: no test runner and no `node:*`, because they run in browsers and workers. */
import { KmsError, type KmsErrorCode } from 'keytrail'

export function demand(met: boolean, demanded: string): asserts met {
  if (!met) throw new Error(demanded)
}

/** Compares what two values are as JSON. */
export function demandEqual(found: unknown, expected: unknown, what: string): void {
  const [is, must] = [JSON.stringify(found, undefined, 1), JSON.stringify(expected, undefined, 1)]
  demand(is === must, `${what} must be\n${must}\nand is\n${is}`)
}

export function demandBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  demandEqual([...found], [...expected], what)
}

/** Bytes that leave the library own their whole ArrayBuffer. */
export function demandOwned(bytes: Uint8Array, what: string): void {
  const isPlain = Object.getPrototypeOf(bytes) === Uint8Array.prototype
  demand(isPlain && bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.length, `${what} must own its bytes`)
}

/** The KmsError that a call must end in, with that code. */
export async function refused(call: Promise<unknown>, code: KmsErrorCode): Promise<KmsError> {
  const refusal: unknown = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  demand(refusal instanceof KmsError, `must be refused with ${code}, and is ${describeError(refusal)}`)
  demand(refusal.code === code, `must be refused with ${code}, not ${refusal.code}: ${refusal.message}`)
  return refusal
}

/** An error as a report carries it. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error)
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Bytes 0, 1, 2 … */
export function counted(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, at) => at)
}

/** A copy with one bit changed. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, place) => (place === at ? byte ^ 0x10 : byte))
}
