/** Compiled, never run: the types that users rely on. A line that should not compile is a fault here. */
import type { Called, Input, KmsClient, KmsError, Operation, Output } from '../../src/index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function is<_T extends true>(): void {}

declare const kms: KmsClient

is<Equal<ReturnType<typeof kms.verify>, Promise<boolean>>>()
is<Equal<ReturnType<typeof kms.verifyHmac>, Promise<boolean>>>()
is<Equal<Awaited<ReturnType<typeof kms.encrypt>>['ciphertext'], Uint8Array>>()
is<Equal<Called<'verify'>['valid'], boolean>>()
// Not every service tells it.
is<Equal<Output<'decrypt'>['keyVersion'], number | undefined>>()
is<Equal<Input<'encrypt'>['plaintext'], Uint8Array>>()
is<Equal<KmsError['statusCode'], number>>()
is<Equal<Extract<Operation, 'rotateScheduled'>, 'rotateScheduled'>>()
is<Equal<ReturnType<typeof kms.with>, KmsClient>>()

// A client is disposable.
const disposable: AsyncDisposable = kms
void disposable
