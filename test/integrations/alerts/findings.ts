/** Findings for tests, and a delivery that writes down what it gets. */
import type { Finding, Subject } from '../../../src/detect/finding.ts'
import type { Alert, Delivery } from '../../../src/integrations/alerts/delivery.ts'

/** Thursday 2026-01-01, 12:00 UTC. */
export const start: number = Date.UTC(2026, 0, 1, 12)

/** Finding number `number`, each about a key of its own unless `fields` say otherwise. */
export function findingOf(number: number, fields: Partial<Finding> = {}): Finding {
  const at = new Date(start + number * 1000).toISOString()
  return {
    id: number.toString(16).padStart(32, '0'),
    rule: 'export',
    title: 'Key material was exported',
    level: 'high',
    attack: ['T1552.004'],
    at,
    subject: { key: `key-${number}` },
    window: { from: at, to: at },
    count: 1,
    evidence: [`0199c9d0-1b00-7000-8000-${number.toString(16).padStart(12, '0')}`],
    says: `user:mallory exported key key-${number}`,
    whatToDo: 'Find who asked, and why.',
    ...fields,
  }
}

export function about(subject: Subject): Partial<Finding> {
  return { subject }
}

export interface Notebook extends Delivery {
  readonly alerts: readonly Alert[]
}

export function notebook(hears: Delivery['hears'] = 'alarms', name = 'notebook'): Notebook {
  const alerts: Alert[] = []
  return { name, hears, alerts, deliver: (alert) => void alerts.push(alert) }
}

/** A promise, and what settles it. */
export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
