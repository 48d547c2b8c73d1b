import { noShared } from '../shared.ts'
import { short } from './short.ts'

short({
  name: 'hostile',
  promise: 'hostile text in any field leaves one line, which does nothing to whoever reads it',
  skip: noShared,
})
