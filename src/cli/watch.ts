/** @node `keytrail audit watch`: follows a trail, and tells what the rules find in it. Needs no key and no lock. */
import process from 'node:process'
import { createDetector, type Detector } from '../detect/detector.ts'
import { type Level, levels } from '../detect/finding.ts'
import { findingLine } from '../detect/finding-line.ts'
import { shippedRules } from '../detect/shipped.ts'
import { type Alerts, createAlerts } from '../integrations/alerts/alerts.ts'
import type { Alert, Delivery } from '../integrations/alerts/delivery.ts'
import { jsonLinesDelivery } from '../integrations/alerts/files/json-lines.ts'
import { openWatchState, type WatchState } from '../integrations/alerts/files/watch-state.ts'
import { watchTrail } from '../integrations/alerts/files/watch-trail.ts'
import { webhookDelivery } from '../integrations/alerts/webhook.ts'
import { KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import { visible } from '../sinks/render.ts'
import { trailOf } from './audit.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { readInput } from './input.ts'
import { print, say } from './output.ts'
import { settingsOf } from './settings.ts'

export const watch: Command = {
  verb: 'audit watch',
  operands: '[TRAIL]',
  summary: 'follow a trail, and tell what the rules find',
  details: `TRAIL is a trail's folder, or the parent of many; DIR/audit if left out. It is followed up to its
checkpoint, from the start or from where --state was kept, until SIGTERM or SIGINT, or to its end
with --once: then it exits with 1 if anything at or above --level was found that no suppression
holds back, else with 0. --rules FILE: {"timeZone": "Europe/Amsterdam", "rules": {"export": {},
"repeated-400": false}, "suppressions": []}. Findings are printed, a line each; with --json, and
in the file of --out, to which they are appended, with those that are suppressed, marked.
--webhook URL posts them besides, signed with the secret in --webhook-secret-file (its bytes, less
a newline at the end). --state keeps how far it came once all has arrived: a restart misses
nothing, not what was refused either, and what it tells again has the same id. Reading does not
verify: audit verify does.`,
  examples: [
    'keytrail audit watch --rules watch.json --state /var/lib/keytrail/watch.json',
    'keytrail audit watch /backup/audit --once --level high --json | jq .says',
    'keytrail audit watch --webhook https://alerts.example/keytrail --webhook-secret-file hook.key',
  ],
  options: ['rules', 'state', 'out', 'webhook', 'webhook-secret-file', 'level', 'once', 'dir'],
  async run(line) {
    const least = levelOf(line)
    const once = line.flag('once')
    const { timeZone, rules, suppressions = [] } = await settingsOf(line)
    const state = line.text('state') === undefined ? undefined : await openWatchState(line.text('state') ?? '')
    const detector = detectorOf(shippedRules(rules), { timeZone, state })
    const ending = new host.AbortController()
    let gone = false
    const printed = printing(line, () => {
      gone = true
      ending.abort()
    })
    const isGone = (delivery: string) => gone && delivery === printed.name
    const alerts = createAlerts({
      deliveries: [printed, ...(await webhooks(line))],
      ...{ suppressions, least },
      // Whoever went away knows.
      onProblem: ({ delivery, rule, why }) =>
        isGone(delivery) || say(`a finding of ${visible(rule)} did not reach ${delivery}: ${why}`),
    })
    const forget = onSignal(() => ending.abort())
    let damaged = false
    try {
      await watchTrail(trailOf(line), detector, {
        ...(state !== undefined && { state }),
        ...(once && { once }),
        signal: ending.signal,
        onFindings: alerts.takeAll,
        onDamage({ message }) {
          damaged = true
          say(message)
        },
        async isDelivered() {
          // At the end there is no later.
          if (once || ending.signal.aborted) await alerts.flush()
          return alerts.pending + alerts.lost === 0
        },
      })
    } finally {
      forget()
      await alerts.close({ deadlineMs: graceMs })
    }
    return once && (damaged || needsEyes(alerts)) ? 1 : 0
  },
}

/** For what is still to be posted at the end. */
const graceMs = 30_000

interface Watching {
  readonly timeZone: string | undefined
  readonly state: WatchState | undefined
}

function detectorOf(rules: Parameters<typeof createDetector>[0], { timeZone, state }: Watching): Detector {
  const from = state?.detector
  return createDetector(rules, {
    ...(timeZone !== undefined && { timeZone }),
    ...(from !== undefined && { state: from }),
  })
}

function levelOf(line: CommandLine): Level {
  const text = line.text('level') ?? 'medium'
  const level = levels.find((each) => each === text)
  if (level === undefined) throw usageError(`option '--level' takes one of ${levels.join(', ')}`)
  return level
}

/** Into the file of `--out`, else to standard output. */
function printing(line: CommandLine, gone: () => void): Delivery {
  const out = line.text('out')
  if (out !== undefined) return jsonLinesDelivery(out, { name: 'file' })
  const asJson = line.flag('json')
  return {
    name: 'standard output',
    hears: asJson ? 'all' : 'alarms',
    async deliver(alert) {
      if (await print(asJson ? `${findingLine(alert.finding, alert)}\n` : `${inWords(alert)}\n`)) return
      gone()
      throw new KmsError('CLOSED', 'its reader has gone')
    },
  }
}

function inWords({ finding: { at, level, rule, says, id }, repeats = 0 }: Alert): string {
  const more = repeats === 0 ? '' : ` (and ${repeats} times more before)`
  return visible(`${at} ${level} ${rule}: ${says}${more} [${id}]`)
}

async function webhooks(line: CommandLine): Promise<readonly Delivery[]> {
  const [url, secretFile] = [line.text('webhook'), line.text('webhook-secret-file')]
  if ((url === undefined) !== (secretFile === undefined))
    throw usageError("'--webhook' and '--webhook-secret-file' go together")
  if (url === undefined) return []
  const bytes = await readInput(secretFile, 4096)
  const end = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? -2 : -1) : bytes.length
  return [webhookDelivery({ url, secret: bytes.slice(0, end) })]
}

/** What was found at or above the level, whether it was told one by one or as a repetition; not what is suppressed. */
function needsEyes(alerts: Alerts): boolean {
  const { taken, duplicates, below, suppressed } = alerts.health()
  return taken - duplicates - below - suppressed > 0
}

/** Runs `stop` at the first signal; returns what ends that. */
function onSignal(stop: () => void): () => void {
  const signals = ['SIGTERM', 'SIGINT'] as const
  const heard = () => {
    forget()
    stop()
  }
  const forget = () => {
    for (const signal of signals) process.off(signal, heard)
  }
  for (const signal of signals) process.on(signal, heard)
  return forget
}
