import { short } from './short.ts'

short({
  name: 'clock',
  promise: 'the clock goes back and forth by hours and years: order, deadlines and heartbeats do not hang on it',
})
