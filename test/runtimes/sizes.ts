/** @node What the portable part adds to a browser's bundle: the README's figures, with bounds that an accident would break. */
import { gzipSync } from 'node:zlib'
import { bundled } from './bundle.ts'

export interface BundleRow {
  readonly name: string
  readonly code: string
  /** Most bytes, minified. A new key type may raise them; what is not imported must not. */
  readonly mostBytes: number
}

const client = "export { KmsClient } from 'keytrail'"
const memoryKms = "export { memoryKms } from 'keytrail/providers/memory'"
const memorySink = "export { memorySink } from 'keytrail/sinks/memory'"
const httpSink = "export { httpSink } from 'keytrail/sinks/http'"

export const bundles: readonly BundleRow[] = [
  { name: 'KmsClient, memoryKms, memorySink', code: [client, memoryKms, memorySink].join('\n'), mostBytes: 236_000 },
  { name: 'KmsClient, memoryKms, httpSink', code: [client, memoryKms, httpSink].join('\n'), mostBytes: 239_000 },
  { name: 'KmsClient, httpSink', code: [client, httpSink].join('\n'), mostBytes: 162_000 },
  { name: 'verifySignature', code: "export { verifySignature } from 'keytrail/sinks/http'", mostBytes: 95_000 },
  { name: 'decodeCiphertext', code: "export { decodeCiphertext } from 'keytrail'", mostBytes: 4000 },
]

export interface Measured {
  readonly bytes: number
  readonly gzipBytes: number
  readonly warnings: readonly string[]
  /** Modules that the bundle leaves to the host: none, in a browser. */
  readonly imports: readonly string[]
  /** Paths of what went in, from node_modules on. */
  readonly inputs: readonly string[]
}

export async function measure(project: string, { code }: BundleRow): Promise<Measured> {
  const options = { platform: 'browser', minify: true, target: 'es2023', logLevel: 'silent' }
  const { outputFiles, warnings, metafile } = await bundled(project, code, options)
  const contents = outputFiles[0]?.contents ?? new Uint8Array(0)
  const outputs = Object.values(metafile.outputs)
  const inputs = outputs.flatMap((output) => Object.entries(output.inputs))
  return {
    bytes: contents.length,
    gzipBytes: gzipSync(contents, { level: 9 }).length,
    warnings: warnings.map(({ text }) => text),
    imports: outputs.flatMap((output) => output.imports.map(({ path }) => path)),
    inputs: inputs
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([path]) => path.replace(/^.*node_modules\//, '')),
  }
}
