import { meddling } from './meddling.ts'
import { short } from './short.ts'

short({
  name: 'meddling',
  run: meddling,
  count: 40,
  promise:
    'somebody meddles with the files under a process: what is acknowledged is there, and what lacks anything is not valid',
})
