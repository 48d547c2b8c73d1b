import { short } from './short.ts'

short({
  name: 'power',
  promise: 'the power goes at any moment: what was acknowledged is there, and the trail is valid',
})
