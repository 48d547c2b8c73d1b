import { short } from './short.ts'

short({
  name: 'following',
  promise: 'nothing is called safe before it is on the disk, and no follower passes what is published',
})
