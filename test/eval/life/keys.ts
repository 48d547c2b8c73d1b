/** The company's keys: what each is for, how often it rotates, and how it stands at the moment. */
import type { KeyStatus, KeyType } from '../../../src/model/key.ts'
import { day, lifeBegins } from './calendar.ts'
import type { Mark } from './mark.ts'
import type { Odds } from './odds.ts'

export type Project = 'shop' | 'identity' | 'finance' | 'platform' | 'people' | 'dev'

export const projects: readonly Project[] = ['shop', 'identity', 'finance', 'platform', 'people', 'dev']

export interface KeyPlan {
  readonly slug: string
  readonly project: Project
  readonly keyType: KeyType
  /** Days between rotations that nobody has to think of; absent: by hand. */
  readonly period?: number
  readonly exportAllowed?: boolean
  readonly status?: KeyStatus
  /** Nobody has any business with it: any use is an alarm. */
  readonly isCanary?: boolean
  /** Nobody has used it for months. */
  readonly isDormant?: boolean
}

export interface KeyState extends KeyPlan {
  readonly identity: string
  status: KeyStatus
  latest: number
  /** When the latest version was made. */
  rotatedAt: number
  nextRotationAt: number | undefined
  /** Why its scheduled rotation does not succeed, or is not even tried. */
  trouble?: { readonly how: 'forgotten' | 'failing'; readonly mark: Mark }
  /** Its latest version has sealed almost as much as it may: how much, and how many more calls say so. */
  nearLimit?: { readonly mark: Mark; messages: number; left: number }
  /** Whose doing it is that the key is not active. */
  because?: Mark
}

/** Each line: slug, project, type, period. */
const inUse: readonly (readonly [string, Project, KeyType, number?])[] = [
  ['orders', 'shop', 'aes256-gcm96', 30],
  ['carts', 'shop', 'xaes256-gcm', 90],
  ['payments', 'shop', 'aes256-gcm96', 7],
  ['payment-tokens', 'shop', 'hmac-sha256'],
  ['webhooks', 'shop', 'hmac-sha256'],
  ['shipping', 'shop', 'chacha20-poly1305', 90],
  ['returns', 'shop', 'aes256-gcm96', 90],
  ['loyalty', 'shop', 'aes256-gcm96', 30],
  ['media', 'shop', 'aes256-gcm96', 30],
  ['customer-notes', 'shop', 'aes256-gcm96', 14],
  ['identity-pii', 'identity', 'aes256-gcm96', 30],
  ['session-tokens', 'identity', 'hmac-sha512'],
  ['session-signing', 'identity', 'ed25519', 14],
  ['oauth-signing', 'identity', 'ecdsa-p256', 7],
  ['mfa-seeds', 'identity', 'xaes256-gcm', 90],
  ['consents', 'identity', 'aes256-gcm96', 90],
  ['invoices', 'finance', 'aes256-gcm96', 14],
  ['ledger-seal', 'finance', 'hmac-sha256'],
  ['payouts', 'finance', 'aes256-gcm96', 7],
  ['payout-signing', 'finance', 'rsa-3072'],
  ['tax', 'finance', 'aes256-gcm96', 90],
  ['statements', 'finance', 'aes256-gcm96', 30],
  ['payroll', 'people', 'aes256-gcm96', 14],
  ['hr-records', 'people', 'xaes256-gcm', 30],
  ['cv-store', 'people', 'aes256-gcm96', 90],
  ['documents', 'platform', 'aes256-gcm96', 30],
  ['messages', 'platform', 'xaes256-gcm', 30],
  ['push-tokens', 'platform', 'aes256-gcm96', 14],
  ['search-index', 'platform', 'aes256-gcm96', 90],
  ['analytics', 'platform', 'aes256-gcm96', 90],
  ['config', 'platform', 'aes256-gcm96', 7],
  ['archives', 'platform', 'aes256-gcm96', 30],
  ['devices', 'platform', 'ed25519'],
  ['partner-acme', 'platform', 'aes256-gcm96', 30],
  ['partner-globex', 'platform', 'chacha20-poly1305', 30],
  ['partner-initech', 'platform', 'aes256-gcm96', 30],
  ['warehouse', 'platform', 'aes256-gcm96', 14],
  ['backup-master', 'platform', 'xaes256-gcm', 90],
  ['code-signing', 'platform', 'rsa-4096'],
  ['release-manifest', 'platform', 'ed25519'],
  ['secrets-shop', 'shop', 'xaes256-gcm', 30],
  ['secrets-identity', 'identity', 'xaes256-gcm', 30],
  ['secrets-finance', 'finance', 'xaes256-gcm', 30],
  ['secrets-platform', 'platform', 'xaes256-gcm', 30],
  ['secrets-people', 'people', 'xaes256-gcm', 30],
  ['dev-sandbox', 'dev', 'aes256-gcm96', 30],
  ['dev-signing', 'dev', 'ed25519'],
  ['staging-orders', 'dev', 'aes256-gcm96', 30],
  ['staging-documents', 'dev', 'aes256-gcm96', 30],
  ['staging-hooks', 'dev', 'hmac-sha256'],
]

const others: readonly KeyPlan[] = [
  { slug: 'escrow', project: 'platform', keyType: 'aes256-gcm96', exportAllowed: true, isDormant: true },
  { slug: 'dr-master', project: 'platform', keyType: 'aes256-gcm96', exportAllowed: true },
  { slug: 'tenant-transfer', project: 'shop', keyType: 'aes256-gcm96', exportAllowed: true, period: 7 },
  { slug: 'legacy-crm', project: 'shop', keyType: 'aes256-gcm96', isDormant: true },
  { slug: 'legacy-erp', project: 'finance', keyType: 'aes256-gcm96', isDormant: true },
  { slug: 'merger-archive', project: 'platform', keyType: 'aes256-gcm96', isDormant: true },
  { slug: 'old-mail', project: 'platform', keyType: 'aes128-gcm96', isDormant: true },
  { slug: 'old-loyalty', project: 'shop', keyType: 'aes256-gcm96', isDormant: true, status: 'disabled' },
  { slug: 'old-sessions', project: 'identity', keyType: 'aes256-gcm96', isDormant: true, status: 'disabled' },
  { slug: 'old-sms', project: 'platform', keyType: 'aes128-gcm96', isDormant: true, status: 'pending_deletion' },
  { slug: 'root-backup-prod', project: 'platform', keyType: 'aes256-gcm96', isDormant: true, isCanary: true },
  { slug: 'payments-master', project: 'shop', keyType: 'aes256-gcm96', isDormant: true, isCanary: true },
]

export const keyPlans: readonly KeyPlan[] = [
  ...inUse.map(([slug, project, keyType, period]) => ({
    slug,
    project,
    keyType,
    ...(period !== undefined && { period }),
  })),
  ...others,
]

/** Whether it encrypts: the others sign or authenticate. */
export function isSealing({ keyType }: KeyPlan): boolean {
  return /^x?(?:aes|chacha20)/.test(keyType)
}

/** As they stand when the month begins: each somewhere in its period. */
export function keysOf(odds: Odds): Map<string, KeyState> {
  return new Map(keyPlans.map((plan) => [plan.slug, stateOf(plan, odds)]))
}

function stateOf(plan: KeyPlan, odds: Odds): KeyState {
  const { period, status = 'active' } = plan
  const age = period === undefined ? odds.between(100, 900) : odds.between(0, period)
  const rotatedAt = Math.floor(lifeBegins - age * day)
  const latest = period === undefined ? 1 + odds.below(3) : 2 + odds.below(Math.ceil(400 / period))
  return {
    ...plan,
    identity: `kms-${odds.text(20)}`,
    status,
    latest,
    rotatedAt,
    nextRotationAt: period === undefined ? undefined : rotatedAt + period * day,
  }
}

/** A key that is made while life goes on. */
export function newKey(plan: KeyPlan, { odds, at }: { readonly odds: Odds; readonly at: number }): KeyState {
  const { period } = plan
  return {
    ...plan,
    identity: `kms-${odds.text(20)}`,
    status: 'active',
    latest: 1,
    rotatedAt: at,
    nextRotationAt: period === undefined ? undefined : at + period * day,
  }
}
