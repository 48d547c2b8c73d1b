/** @node Evaluates a detector: `npm run eval:detect -- [--seeds 1,2,3 | --drawn-from COMMIT] [--scale 1] [--detector FILE] [--json]`. Exit 1: an aim is missed. */
import { evaluateBy } from './command.ts'

process.exitCode = await evaluateBy(process.argv.slice(2), {
  print: (text) => process.stdout.write(text),
  tell: (line) => process.stderr.write(`${line}\n`),
})
