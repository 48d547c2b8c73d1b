import { short } from './short.ts'

short({
  name: 'meddling',
  promise:
    'somebody meddles with the files under a process: what is acknowledged is there, and what lacks anything is not valid',
})
