import { following } from './following.ts'
import { short } from './short.ts'

short({
  name: 'following',
  run: following,
  count: 40,
  promise: 'nothing is called safe before it is on the disk, and no follower passes what is published',
})
