/** All verbs, in the order of the help page. */
import { access } from './access.ts'
import { auditCommands } from './audit.ts'
import { backup, restore } from './backup.ts'
import type { Command } from './command.ts'
import { demo } from './demo.ts'
import { decrypt, encrypt } from './encrypt.ts'
import { importTransit } from './import-transit.ts'
import { init } from './init.ts'
import { keyCommands } from './keys.ts'
import { pin } from './pin.ts'
import { proveCommands } from './prove.ts'
import { prune } from './prune.ts'
import { query } from './query.ts'
import { reconcile } from './reconcile.ts'
import { report } from './report.ts'
import { review } from './review.ts'
import { rewrapRoot } from './rewrap.ts'
import { serve } from './serve.ts'
import { hmac, sign, verify, verifyHmac } from './sign.ts'
import { rotateSigner } from './signer.ts'
import { timeline } from './timeline.ts'
import { trace } from './trace.ts'
import { transferCommands } from './transfer.ts'
import { watch } from './watch.ts'

export const commands: readonly Command[] = [
  demo,
  init,
  backup,
  restore,
  ...keyCommands,
  ...transferCommands,
  importTransit,
  rewrapRoot,
  encrypt,
  decrypt,
  sign,
  verify,
  hmac,
  verifyHmac,
  serve,
  query,
  ...auditCommands,
  review,
  report,
  ...proveCommands,
  reconcile,
  access,
  trace,
  timeline,
  watch,
  prune,
  pin,
  rotateSigner,
]
