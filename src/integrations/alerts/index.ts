/**
 * Alerts: what happens with findings. Deliveries to a function, a webhook, the trail; suppressions.
 *
 * @packageDocumentation
 */

export type { Alerts, AlertsHealth, AlertsOptions } from './alerts.ts'
export { createAlerts } from './alerts.ts'
export type { CallbackOptions } from './callback.ts'
export { callbackDelivery } from './callback.ts'
export type { Alert, Delivery } from './delivery.ts'
export type { HeldFinding, HeldFindings } from './held.ts'
export { heldFormat } from './held.ts'
export type { AlertProblem, DeliveryHealth } from './outbox.ts'
export type { Unsuppress } from './suppressed.ts'
export type { TrailDeliveryOptions } from './trail-delivery.ts'
export { trailDelivery } from './trail-delivery.ts'
export type { AlertMessage } from './verify-alert.ts'
export { verifyAlert } from './verify-alert.ts'
export { webhookDelivery } from './webhook.ts'
export type { WebhookOptions } from './webhook-options.ts'
