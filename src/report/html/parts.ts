/** @node What the page runs and wears, as `npm run build` made it of `report/page` and put it beside the compiled code. */
import { readFileSync } from 'node:fs'
import { KmsError } from '../../model/errors.ts'

export interface PageParts {
  readonly script: string
  readonly style: string
  /** Licence of the charting library that is in `script`. */
  readonly licence: string
}

/** Reads the parts from `folder`, by default beside this code. Errors: `INTERNAL`, when they were never built. */
export function readParts(folder: URL = new URL('../page/', import.meta.url)): PageParts {
  const read = (name: string) => readFileSync(new URL(name, folder), 'utf8')
  try {
    return { script: read('page.js'), style: read('page.css'), licence: read('uplot-LICENSE.txt') }
  } catch (cause) {
    throw new KmsError('INTERNAL', "the report's script and style are not beside the code: npm run build makes them", {
      cause,
    })
  }
}
