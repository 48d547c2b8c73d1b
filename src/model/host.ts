/**
 * The few globals that every runtime has (Node, Bun, Deno, browsers, workers) and ES2023's library does not declare.
 * Declared here so that the portable part compiles with neither DOM nor Node types.
 */

/** An `AbortSignal`, structurally. */
export interface Signal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

interface Host {
  setTimeout(run: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  queueMicrotask(run: () => void): void
  readonly performance: { now(): number }
  readonly TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> }
  readonly TextDecoder: new (
    label?: string,
    options?: { fatal?: boolean; ignoreBOM?: boolean },
  ) => { decode(bytes: Uint8Array): string }
  readonly AbortController: new () => { readonly signal: Signal; abort(): void }
  readonly fetch: (url: string, init: object) => Promise<HttpResponse>
  /** Node ≥ 20.16; a bundler does not see this import. */
  readonly process?: {
    getBuiltinModule?(
      name: 'node:diagnostics_channel',
    ): { channel(name: string): { readonly hasSubscribers: boolean; publish(message: unknown): void } } | undefined
  }
  readonly crypto: { getRandomValues<T extends Uint8Array>(bytes: T): T; readonly subtle?: Subtle }
}

/** What of `SubtleCrypto` is used. Browsers have it only on pages served over HTTPS. */
export interface Subtle {
  generateKey(algorithm: object, extractable: boolean, usages: readonly string[]): Promise<{ privateKey: HostKey }>
  importKey(
    format: 'pkcs8' | 'spki',
    key: Uint8Array,
    algorithm: object,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<HostKey>
  exportKey(format: 'pkcs8', key: HostKey): Promise<ArrayBuffer>
  encrypt(algorithm: object, key: HostKey, plaintext: Uint8Array): Promise<ArrayBuffer>
  decrypt(algorithm: object, key: HostKey, ciphertext: Uint8Array): Promise<ArrayBuffer>
  sign(algorithm: object, key: HostKey, input: Uint8Array): Promise<ArrayBuffer>
  verify(algorithm: object, key: HostKey, signature: Uint8Array, input: Uint8Array): Promise<boolean>
}

/** A `CryptoKey`: only handed on. */
export interface HostKey {
  readonly type: string
}

export interface HttpResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  arrayBuffer(): Promise<ArrayBuffer>
}

// ES2023's library types `globalThis` without these members; every supported runtime has them.
export const host: Host = globalThis as unknown as Host
