import { kill } from './kill.ts'
import { short } from './short.ts'

short({
  name: 'kill',
  run: kill,
  count: 200,
  promise:
    '200 kills: everything seen is in the trail, the trail verifies, no key version is lost, no intent stays open',
})
