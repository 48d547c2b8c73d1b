/** Every attack there is. Those who need a certain key choose first. */
import type { Attack } from './attack.ts'
import { decrypting } from './attacks/decrypting.ts'
import { exporting } from './attacks/exports.ts'
import { onTheLog } from './attacks/log.ts'
import { feeling } from './attacks/probing.ts'
import { rotations } from './attacks/rotations.ts'
import { aroundSecrets } from './attacks/secrets.ts'
import { changing } from './attacks/states.ts'
import { tampering } from './attacks/tampering.ts'

export const attacks: readonly Attack[] = [
  ...exporting,
  ...rotations,
  ...tampering,
  ...decrypting,
  ...changing,
  ...feeling,
  ...aroundSecrets,
  ...onTheLog,
]
