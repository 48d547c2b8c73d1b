/** All verbs, in the order of the help page. */
import { auditCommands } from './audit.ts'
import type { Command } from './command.ts'
import { demo } from './demo.ts'
import { decrypt, encrypt } from './encrypt.ts'
import { init } from './init.ts'
import { keyCommands } from './keys.ts'
import { hmac, sign, verify, verifyHmac } from './sign.ts'

export const commands: readonly Command[] = [
  demo,
  init,
  ...keyCommands,
  encrypt,
  decrypt,
  sign,
  verify,
  hmac,
  verifyHmac,
  ...auditCommands,
]
