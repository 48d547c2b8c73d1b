/** @node `keytrail serve`: the KMS API on loopback, over the keys and the trail of `--dir`. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { isIPv4 } from 'node:net'
import process from 'node:process'
import { engine } from '#engine'
import { insideOf, type KmsClient } from '../client.ts'
import { equal, utf8 } from '../crypto/bytes.ts'
import type { Authenticate } from '../integrations/http-api/access.ts'
import { createKmsHandler, type KmsHandler } from '../integrations/http-api/handler.ts'
import { toNodeHandler } from '../integrations/http-api/node.ts'
import { projectClients } from '../integrations/http-api/projects.ts'
import { startRotationScheduler } from '../integrations/rotation/scheduler.ts'
import type { Clock } from '../model/clock.ts'
import { KmsError } from '../model/errors.ts'
import { defaultLimits } from '../model/operation.ts'
import { systemCode } from '../storage/filesystem.ts'
import { readTrail } from '../trail/reading/read.ts'
import { report } from './answer.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { homeOf, type OpenHome, openingOf, withHome } from './home.ts'
import { opening } from './options.ts'
import { say } from './output.ts'

const shortestToken = 16
const longestCallMs = 30_000
const mostConnections = 1000

/** In-flight requests get so long to finish after a signal. */
const graceMs = 10_000

export const serve: Command = {
  verb: 'serve',
  operands: '',
  summary: 'serve the KMS API on loopback',
  details: `Serves the REST API of the KMS over DIR/keys and DIR/audit, until SIGTERM or SIGINT: then requests
on their way are answered, and it exits with 0. It speaks plain HTTP, so it listens on loopback
only: put what speaks TLS before it. Whoever has the token in $KEYTRAIL_TOKEN (16 characters or
more, sent as 'Authorization: Bearer …') may do everything, save exporting keys in the clear
without --allow-raw-export. Entries name the client 'api-token'. Meanwhile DIR is locked: other
verbs that use keys wait for it. Prints the address; --port 0 takes any that is free. Keys
rotate and are destroyed when they are due, each hour.`,
  examples: ['keytrail serve --dir /srv/kms --port 8200 --region nl-01'],
  options: ['port', 'host', 'allow-raw-export', ...opening.filter((name) => name !== 'reason' && name !== 'ticket')],
  async run(line) {
    const hash = tokenHash()
    const host = hostOf(line)
    const port = portOf(line)
    if (openingOf(line).region === undefined) throw usageError("'--region' is missing, and KEYTRAIL_REGION is not set")
    // Nobody is bound: each request says who asks. Why a key is exported it cannot say.
    const options = {
      instance: 'api',
      context: {},
      require: { 'kms.export': ['actor'] },
      deadlineMs: longestCallMs,
      limits: defaultLimits,
    } as const
    await withHome(line, options, async (opened) => {
      await opened.kms.ready()
      const rotation = rotating(opened)
      const server = await listening(handlerOf(line, opened, hash, rotation.clientOf), { host, port })
      // From here on a signal is heard, also by whoever waits for the line that is printed next.
      const stop = stopped()
      const { region } = openingOf(line)
      const url = urlOf(server)
      await report(line, { output: { url, region }, text: url })
      say(`serving ${homeOf(line).folder} until SIGTERM or SIGINT`)
      await stop
      await settle(server, insideOf(opened.kms).audit.clock)
      await rotation.stop()
    })
    return 0
  },
}

interface Rotating {
  /** The client of a project, whose keys rotate from then on. */
  readonly clientOf: (project: string) => KmsClient | undefined
  readonly stop: () => Promise<void>
}

/** Keys of every project rotate and are destroyed when they are due: of those that have keys now, and of those asked for later. */
function rotating({ kms, local }: OpenHome): Rotating {
  const { audit, scope, deadlineMs } = insideOf(kms)
  const { region = '' } = scope
  const known = projectClients({ provider: local, audit, region, deadlineMs })
  const schedulers = new Map([[scope.project, startRotationScheduler(kms, { jitter: 0 })]])
  for (const other of local.scopes())
    if (other.region === region && other.project !== undefined) clientOf(other.project)
  return {
    clientOf,
    async stop() {
      await Promise.all([...schedulers.values()].map((scheduler) => scheduler.stop()))
    },
  }

  function clientOf(project: string): KmsClient | undefined {
    const client = known(project)
    if (client !== undefined && !schedulers.has(project))
      schedulers.set(project, startRotationScheduler(client, { jitter: 0 }))
    return client
  }
}

function handlerOf(line: CommandLine, { kms }: OpenHome, hash: Uint8Array, projects: Rotating['clientOf']): KmsHandler {
  return createKmsHandler({
    kms,
    projects,
    authenticate: byToken(hash),
    authorize: () => true,
    trail: (filter) => readTrail(homeOf(line).audit, filter),
    allowRawExport: line.flag('allow-raw-export'),
  })
}

/** Only its hash is kept: two hashes are compared in the same time, wherever they differ. */
function tokenHash(): Uint8Array {
  const { KEYTRAIL_TOKEN: token = '' } = process.env
  if (token.length < shortestToken)
    throw usageError(`KEYTRAIL_TOKEN must be set, to ${shortestToken} characters or more`)
  if (!/^[\x21-\x7e]+$/.test(token)) throw usageError('KEYTRAIL_TOKEN must be printable ASCII without blanks')
  // What is started from here on need not know it.
  delete process.env['KEYTRAIL_TOKEN']
  return engine.hash('sha256', utf8(token))
}

function byToken(hash: Uint8Array): Authenticate {
  const actor = { type: 'client', id: 'api-token' } as const
  return ({ headers }) => {
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(headers.get('authorization') ?? '')?.[1]
    return given !== undefined && equal(engine.hash('sha256', utf8(given)), hash) ? { actor } : undefined
  }
}

function hostOf(line: CommandLine): string {
  const host = line.text('host') ?? '127.0.0.1'
  if (host !== '::1' && !(isIPv4(host) && host.startsWith('127.')))
    throw usageError(
      "'--host' takes an address of loopback only: tokens and plaintext would cross the network in the clear",
    )
  return host
}

function portOf(line: CommandLine): number {
  const port = line.count('port')
  if (port === undefined) throw usageError("'--port' is missing; 0 takes any that is free")
  if (port > 65_535) throw usageError("'--port' takes 0 to 65535")
  return port
}

async function listening(handler: KmsHandler, at: { readonly host: string; readonly port: number }): Promise<Server> {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 30_000 }, toNodeHandler(handler))
  server.maxConnections = mostConnections
  try {
    server.listen(at)
    await once(server, 'listening')
  } catch (error) {
    const code = systemCode(error)
    const why =
      code === 'EADDRINUSE' ? 'the port is taken' : code === 'EACCES' ? 'the port is not ours to take' : 'failed'
    throw new KmsError('PROVIDER_UNAVAILABLE', `cannot listen on port ${at.port}: ${why}`, { cause: error })
  }
  return server
}

function urlOf(server: Server): string {
  const address = server.address()
  // A string only for pipes.
  if (address === null || typeof address === 'string') throw new KmsError('INTERNAL', 'the server listens nowhere')
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

/** The first of the two signals; a second one ends the process as ever. */
function stopped(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of signals) process.off(signal, stop)
      resolve()
    }
    for (const signal of signals) process.on(signal, stop)
  })
}

const signals = ['SIGTERM', 'SIGINT'] as const

/** Takes no more connections, lets what is on its way end, and ends what takes too long. */
async function settle(server: Server, clock: Clock): Promise<void> {
  const closed = once(server, 'close')
  // A connection whose last answer leaves from here on is not kept.
  server.keepAliveTimeout = 1
  server.close()
  server.closeIdleConnections()
  const cancel = clock.after(graceMs, () => server.closeAllConnections())
  await closed
  cancel()
}
