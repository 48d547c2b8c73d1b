import { power } from './power.ts'
import { short } from './short.ts'

short({
  name: 'power',
  run: power,
  count: 250,
  promise: 'the power goes at any moment: what was acknowledged is there, and the trail is valid',
})
