// A key that nobody has a reason to use: whoever touches it is told of at once, and in the trail.
// prints: critical canary-key: user:mallory tried kms.decrypt with the canary key honey
// prints: in the trail: finding.raised of canary-key, about key honey, actor user:mallory
// prints: evidence: kms.decrypt with honey, failure
import { KmsClient } from 'keytrail'
import { callbackDelivery, createAlerts, trailDelivery } from 'keytrail/alerts'
import { createDetector, detectorSink, shippedRules } from 'keytrail/detect'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const trail = memorySink()
const detector = createDetector(shippedRules({ 'canary-key': { keys: ['honey'] } }))
const watch = detectorSink(detector, { onFindings: (found) => alerts.take(found) })
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [trail], bestEffort: [watch] } })
const tell = callbackDelivery(({ level, rule, says }) => console.log(`${level} ${rule}: ${says}`))
const alerts = createAlerts({ deliveries: [tell, trailDelivery(kms)], audit: kms })

await kms.createKey({ slug: 'honey' })
const mallory = kms.with({ actor: { type: 'user', id: 'mallory' } })
await mallory
  .decrypt({ key: 'honey', ciphertext: new Uint8Array(64) })
  .catch((error) => console.error(`refused: ${error.message}`))

// In this order: the last findings are told, and in the trail, before it closes.
await watch.flush()
await alerts.close()
await kms.close()

for (const { action, details } of trail.entries.filter(({ action }) => action === 'finding.raised')) {
  console.log(`in the trail: ${action} of ${details.rule}, about ${details.subject}`)
  for (const id of details.evidence) {
    const seen = trail.entries.find(({ eventID }) => eventID === id)
    console.log(`evidence: ${seen.action} with ${seen.keySlug}, ${seen.outcome}`)
  }
}
