// Keys rotate by themselves: a scheduler looks each hour at what is due. Here a clock turned by hand lets 100 days pass in
// which nobody ran, after which the key is rotated once, with the entry telling how late.
// prints: kms.rotate.scheduled success orders v2, 70 days late, by keytrail-rotation
import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { startRotationScheduler } from 'keytrail/rotation'
import { memorySink } from 'keytrail/sinks/memory'
import { fakeClock } from 'keytrail/testing'

const clock = fakeClock()
const sink = memorySink()
const kms = new KmsClient({ provider: memoryKms({ clock }), audit: { required: [sink], clock } })
await kms.createKey({ slug: 'orders', rotationPeriodInDays: 30 })
clock.advance(100 * 86_400_000)

const rotation = startRotationScheduler(kms, {
  every: '1h',
  onRun({ rotated, failed }) {
    console.error(`rotated ${rotated.length}, failed ${failed.length}`)
  },
})
await rotation.run() // now, rather than within ten seconds

const { action, outcome, keySlug, keyVersion, details, actor } = sink.entries.at(-1)
const daysLate = details.latenessMs / 86_400_000
console.log(`${action} ${outcome} ${keySlug} v${keyVersion}, ${daysLate} days late, by ${actor.id}`)
await rotation.stop()
await kms.close()
