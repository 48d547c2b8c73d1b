/** ML-DSA for the command line, where its optional package is installed beside keytrail. */
import type { MlDsa } from '../crypto/engine.ts'

/** Undefined where it is not: keys of these types can be kept, and say at work what is missing. */
export async function installedMlDsa(): Promise<MlDsa | undefined> {
  try {
    const { mlDsa } = await import('../crypto/ml-dsa.ts')
    return mlDsa
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}
