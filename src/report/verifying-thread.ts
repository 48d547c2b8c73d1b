/** @node The thread in which a long trail is verified: is told what to verify, tells how far it is, and answers once. */
import { parentPort, workerData } from 'node:worker_threads'
import { describeForeign, KmsError, type KmsErrorCode } from '../model/errors.ts'
import type { VerifyProgress } from '../trail/verify/instance.ts'
import type { Verdict } from '../trail/verify/verdict.ts'
import { type VerifyOptions, verifyTrail } from '../trail/verify/verify.ts'

/** What can be handed to a thread. */
export interface Order {
  readonly path: string
  readonly options: Pick<VerifyOptions, 'vkey' | 'pin' | 'witness' | 'copy'>
}

export type Answer =
  | VerifyProgress
  | { readonly verdict: Verdict }
  | { readonly code: KmsErrorCode; readonly message: string }

// Given by verifying.ts alone.
const { path, options } = workerData as Order

const answer: Answer = await verifyTrail(path, { ...options, onProgress: tell }).then(
  (verdict) => ({ verdict }),
  (error: unknown) => {
    if (error instanceof KmsError) return { code: error.code, message: error.message }
    return { code: 'INTERNAL', message: describeForeign(error).message }
  },
)
tell(answer)

function tell(told: Answer): void {
  parentPort?.postMessage(told)
}
