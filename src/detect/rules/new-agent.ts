/** An actor that calls with a program it never used. */
import { msOf } from '../../model/duration.ts'
import { isYoung, learningPeriod } from '../learning.ts'
import { defineRule, type Rule } from '../rule.ts'
import { listed, word } from '../words.ts'

interface Agent {
  readonly name: string
  last: number
}

interface Cell {
  first: number
  agents: Agent[]
}

const hour = 3_600_000
const mostAgents = 16
const mostTexts = 20_000
const longestName = 128

export const newAgent: Rule = defineRule({
  id: 'new-agent',
  title: 'Calls with a program that is new for the actor',
  level: 'low',
  attack: ['T1078'],
  why: 'A service has one client library for years. A shell script with its credential is somebody who tries it out, or a thief.',
  falsePositives: ['Another library or framework after a release.', 'A person with another browser.'],
  whatToDo: 'Ask the owner of the actor. If it is none of their programs, revoke the credential.',
  actions: ['kms.*', 'kms_key.*', 'secret.*'],
  parameters: {
    /** How long a program is remembered after its last use. */
    memory: '90d',
    /** Of each actor, since it was first seen. */
    learning: '14d',
  },
  watch({ memory, learning }, tools) {
    const span = msOf('memory', memory)
    const young = msOf('learning', learning)
    const learned = learningPeriod(tools, young)
    const cells = tools.table<Cell>('actors', { max: 5000, make: () => ({ first: -1, agents: [] }) })
    const nameOf = nameReader()

    return {
      take({ entry, at, actor }) {
        const knowsEnough = learned.isOver(at)
        const text = entry.context?.userAgent
        // Whoever names nobody is many, and calls with anything.
        if (typeof text !== 'string' || actor === undefined) return
        const name = nameOf(text)
        const cell = cells.of(actor)
        const known = agentOf(cell.agents, name)
        if (known !== undefined && at - known.last < span) {
          if (at - known.last > hour || at < known.last) known.last = at
          return
        }
        if (cell.first < 0) cell.first = at
        const others = cell.agents.filter((agent) => agent !== known).sort((one, other) => other.last - one.last)
        cell.agents = [{ name, last: at }, ...others].slice(0, mostAgents)
        if (!knowsEnough || isYoung(at, cell.first, young)) return
        const before =
          others.length === 0
            ? ''
            : `; it used ${listed(
                others.map((other) => other.name),
                3,
              )} before`
        tools.report({
          subject: { actor },
          evidence: [entry.eventID],
          says: `${word(actor)} called with ${word(name)} for the first time${before}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'a service from a shell, told once',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', times: 9, with: { context: { userAgent: 'curl/8.5.0' } } },
      ],
    },
    {
      says: 'a new version of the same program, and of what it stands on',
      findings: 0,
      steps: [
        {
          action: 'kms.decrypt',
          times: 60,
          every: '6h',
          with: { context: { userAgent: 'svc/1.2 (linux; x64) node/20.1' } },
        },
        { action: 'kms.decrypt', with: { context: { userAgent: 'svc/2.0-rc.1 (linux; arm64) node/22' } } },
      ],
    },
    {
      says: 'browsers differ by what follows Mozilla',
      findings: 1,
      steps: [
        {
          action: 'kms.decrypt',
          times: 60,
          every: '6h',
          with: { context: { userAgent: 'Mozilla/5.0 (X11) Gecko/1 Firefox/9' } },
        },
        { action: 'kms.decrypt', with: { context: { userAgent: 'Mozilla/5.0 (X11) AppleWebKit/5 Chrome/99' } } },
      ],
    },
    {
      says: 'while an actor is new it has any',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        {
          action: 'kms.decrypt',
          times: 9,
          with: (number) => ({
            actor: { type: 'user', id: 'new' },
            context: { userAgent: `tool-${'abcdefghi'[number]}` },
          }),
        },
      ],
    },
    {
      says: 'a hostile one stays text',
      findings: 1,
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', with: { context: { userAgent: '\u001b[2J<script>alert(1)</script> ((((' } } },
      ],
    },
    {
      says: 'no program told, or nobody named',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', with: { context: {} } },
        { action: 'kms.decrypt', with: { actor: { type: 'unknown' }, context: { userAgent: 'curl/8.5.0' } } },
      ],
    },
  ],
})

function agentOf(agents: readonly Agent[], name: string): Agent | undefined {
  for (const agent of agents) if (agent.name === name) return agent
  return undefined
}

/** Reads each text once. */
function nameReader(): (userAgent: string) => string {
  const known = new Map<string, string>()
  return (userAgent) => {
    const name = known.get(userAgent)
    if (name !== undefined) return name
    if (known.size >= mostTexts) known.clear()
    const read = readName(userAgent)
    known.set(userAgent, read)
    return read
  }
}

/** The names of the products (RFC 9110 §10.1.5), without versions and comments: `svc/1.2 (linux) node/20` is `svc node`. */
function readName(userAgent: string): string {
  const names: string[] = []
  let depth = 0
  for (const part of userAgent.split(/([()\s])/)) {
    if (part === '(') depth += 1
    else if (part === ')') depth = Math.max(0, depth - 1)
    else if (depth === 0) {
      const [name = ''] = part.split('/')
      // A version that stands alone, as in `requests 2.31`, is no name.
      if (/^[^\s\d]/.test(name)) names.push(name)
    }
  }
  const joined = names.join(' ')
  return (joined === '' ? userAgent : joined).slice(0, longestName)
}
