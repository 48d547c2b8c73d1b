// Runs TypeScript from source by blanking its types.
import * as module from 'node:module'
import { blanked, blankedNow } from './blanked.mjs'

// Node 20 knows hooks on another thread only, and runs them from this very file there, under the name that it is given; Node 26
// warns of those. Workers of ours have hooks of their own.
const asHooks = '?hooks'
if (module.registerHooks !== undefined) module.registerHooks({ load: loadNow })
else if (!import.meta.url.endsWith(asHooks)) module.register(`${import.meta.url}${asHooks}`)

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  return { format: 'module', shortCircuit: true, source: await blanked(source) }
}

function loadNow(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = nextLoad(url, { ...context, format: 'module' })
  return { format: 'module', shortCircuit: true, source: blankedNow(source) }
}
