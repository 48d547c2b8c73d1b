import { short } from './short.ts'

short({
  name: 'fsync',
  promise: 'any sync fails and drops its pages: what was acknowledged survives the power cut that follows',
})
