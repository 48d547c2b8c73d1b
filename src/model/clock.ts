/** Time, injectable: tests turn it by hand. */
import { host } from './host.ts'

export interface Clock {
  /** Milliseconds since the epoch, as the wall tells; may step back. */
  now(): number
  /** Milliseconds that never step back, with a fraction; from an arbitrary start. */
  monotonic(): number
  /** Runs `run` once after `ms`; returns what cancels it. Never keeps a process alive. */
  after(ms: number, run: () => void): () => void
}

const { performance } = host

/** The host's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = host.setTimeout(run, ms)
    // Node, Bun and Deno return an object or number; only a Node-like timer can be unreferenced.
    if (typeof timer === 'object' && timer !== null && 'unref' in timer) (timer as { unref(): void }).unref()
    return () => host.clearTimeout(timer)
  },
}
