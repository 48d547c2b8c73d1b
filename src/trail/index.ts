/** The durable, tamper-evident trail. */
export type { TrailFilter } from './filter.ts'
export type { Trail, TrailOptions } from './open.ts'
export { openTrail } from './open.ts'
export type { TrailEntry } from './read.ts'
export { readTrail } from './read.ts'
export { fileSigner } from './signer.ts'
export type { InstanceVerdict, Verdict, VerdictKind, VerifyOptions, VerifyProgress } from './verify.ts'
export { verifyTrail } from './verify.ts'
