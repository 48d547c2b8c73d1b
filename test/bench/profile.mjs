// Where the time of one figure goes, our side only: node test/bench/profile.mjs NAME
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'

const shown = 30
const { folder, main, remove } = build()
const profile = join(folder, 'profile.json')
const child = spawn(process.execPath, ['--expose-gc', main, '--profile', profile, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.on('SIGINT', () => {})
child.on('close', (code) => {
  process.exitCode = code ?? 1
  try {
    if (code === 0) report(profile)
  } finally {
    remove()
  }
})

function report(file) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'))
  const byID = new Map(nodes.map((node) => [node.id, node]))
  const selves = new Map()
  let total = 0
  samples.forEach((id, at) => {
    const place = placeOf(byID.get(id).callFrame)
    if (place === '(idle)') return
    selves.set(place, (selves.get(place) ?? 0) + timeDeltas[at])
    total += timeDeltas[at]
  })
  const top = [...selves].sort((a, b) => b[1] - a[1]).slice(0, shown)
  console.log(`self time, of ${Math.round(total / 1000)} ms on the main thread`)
  for (const [place, micros] of top) console.log(`${((100 * micros) / total).toFixed(1).padStart(5)} %  ${place}`)
}

/** The function, and where it stands in the source. */
function placeOf({ functionName, url, lineNumber, columnNumber }) {
  const name = functionName === '' ? '(anonymous)' : functionName
  if (url === '') return name
  if (!url.startsWith('file:')) return `${name}  ${url}:${lineNumber + 1}`
  const path = fileURLToPath(url)
  if (!path.startsWith(folder)) return `${name}  ${path.replace(/^.*node_modules\//, '')}:${lineNumber + 1}`
  const { originalLine = lineNumber } = mapOf(path).findEntry(lineNumber, columnNumber)
  return `${name}  ${path.slice(folder.length + 1).replace(/\.js$/, '.ts')}:${originalLine + 1}`
}

const maps = new Map()

function mapOf(path) {
  if (!maps.has(path)) maps.set(path, new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8'))))
  return maps.get(path)
}
