/** What goes wrong on demand. */

export type Fault =
  /** Answers with an error of AWS; the operation is not done. */
  | { readonly kind: 'error'; readonly name: string; readonly status?: number; readonly message?: string }
  /** Cuts the connection, before or after the operation was done. */
  | { readonly kind: 'cut'; readonly when: 'before' | 'after' }
  /** Does the operation and answers so much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Does the operation and answers with other text. */
  | { readonly kind: 'body'; readonly body: string; readonly status?: number }
  /** Does the operation and changes its answer, which need not be valid any more. */
  | {
      readonly kind: 'change'
      readonly change: (answer: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
    }

export interface FaultPlan {
  readonly fault: Fault
  /** Of which operation; of any, unless said. */
  readonly operation?: string
  /** How often; once, unless said. */
  readonly times?: number
}

export interface Faults {
  add(plan: FaultPlan): void
  /** The next fault for this operation, used up by asking. */
  take(operation: string): Fault | undefined
  clear(): void
}

export function faults(): Faults {
  let waiting: { plan: FaultPlan; left: number }[] = []
  return {
    add(plan) {
      waiting.push({ plan, left: plan.times ?? 1 })
    },
    take(operation) {
      const found = waiting.find(({ plan }) => plan.operation === undefined || plan.operation === operation)
      if (found === undefined) return undefined
      found.left -= 1
      if (found.left === 0) waiting = waiting.filter((one) => one !== found)
      return found.plan.fault
    },
    clear() {
      waiting = []
    },
  }
}
