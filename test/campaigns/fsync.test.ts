import { fsync } from './fsync.ts'
import { short } from './short.ts'

short({
  name: 'fsync',
  run: fsync,
  count: 100,
  promise: 'any sync fails and drops its pages: what was acknowledged survives the power cut that follows',
})
