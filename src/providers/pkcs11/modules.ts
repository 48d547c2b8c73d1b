/**
 * Who uses which module in this process. `C_Initialize` and `C_Finalize` are the process's, not the caller's: the last one to
 * leave finalizes, and only what one of us has initialized. The one state of this folder that is the process's own, as that is.
 */
interface Use {
  count: number
  ours: boolean
  /** The last one is leaving: who comes now must wait, or it would be finalized under its feet. */
  leaving: Promise<void> | undefined
}

const uses = new Map<string, Use>()

export interface ModuleUse {
  /** One of us has initialized it. */
  initialized(): void
  /** `last` is called with whether to finalize; before it has settled nobody enters. */
  leave(last: (finalize: boolean) => Promise<void>): Promise<void>
}

export async function enterModule(module: string): Promise<ModuleUse> {
  let use = uses.get(module)
  while (use?.leaving !== undefined) {
    await use.leaving
    use = uses.get(module)
  }
  const entered: Use = use ?? { count: 0, ours: false, leaving: undefined }
  entered.count += 1
  uses.set(module, entered)
  return {
    initialized() {
      entered.ours = true
    },
    async leave(last) {
      entered.count -= 1
      if (entered.count > 0) return last(false)
      const leaving = last(entered.ours).finally(() => {
        if (uses.get(module) === entered) uses.delete(module)
        entered.leaving = undefined
      })
      entered.leaving = leaving.catch(() => undefined)
      return leaving
    },
  }
}
