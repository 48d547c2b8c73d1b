import { short } from './short.ts'

short({
  name: 'kill',
  promise:
    '200 kills: everything seen is in the trail, the trail verifies, no key version is lost, no intent stays open',
})
