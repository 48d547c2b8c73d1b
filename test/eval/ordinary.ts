/** A month of ordinary life, entry by entry, with or without attacks; the same seed, the same month. */
import type { AuditEntry, EntryContext } from '../../src/model/entry.ts'
import { type Attack, playAttacks } from './attack.ts'
import { type Company, companyOf, type Everybody } from './life/company.ts'
import { jobsOf, startJobs } from './life/jobs.ts'
import { peopleOf, startAdministration, startPeople } from './life/people.ts'
import { servicesOf, startServices } from './life/services.ts'
import { startExercise, startLogkeeping, startPolicies, startRotation, startWriters } from './life/upkeep.ts'
import { openWorld, type Persona } from './life/world.ts'
import { type Truth, truthOf } from './truth.ts'

export interface LifeOptions {
  readonly seed: number
  /** 1: a million entries; traffic grows with it, people do not. */
  readonly scale?: number
  /** None: ordinary life alone. */
  readonly attacks?: readonly Attack[]
}

export interface Life {
  readonly company: Company
  /** In the order in which they were written, over all writers. To be gone through once. */
  readonly entries: Generator<AuditEntry, void, undefined>
  /** What was done to the company: complete once `entries` have been gone through. */
  truths(): readonly Truth[]
}

/** Makes a life that is lived as its entries are read. */
export function liveOn({ seed, scale = 1, attacks = [] }: LifeOptions): Life {
  const world = openWorld({ seed, scale })
  const everybody = { services: servicesOf(world), people: peopleOf(world), jobs: jobsOf(world), runner }
  const company = companyOf(world, everybody)
  startWriters(world)
  startRotation(world)
  startServices(world, everybody.services)
  startPeople(world, everybody.people)
  startAdministration(world, everybody.people)
  startJobs(world, everybody.jobs)
  startLogkeeping(world)
  startExercise(world, everybody)
  startPolicies(world, everybody.people)
  playAttacks(world, { ...everybody, company, attacks })
  return { company, entries: entries(), truths: () => world.marks.map(truthOf) }

  function* entries(): Generator<AuditEntry, void, undefined> {
    yield* world.drain()
    while (world.agenda.step(world.ends)) yield* world.drain()
  }
}

const site: EntryContext = Object.freeze({ clientIp: '10.50.0.11', userAgent: 'dr-runner/1.0.0' })
const runner: Persona & Everybody['runner'] = {
  project: 'platform',
  route: ['dr'],
  actor: Object.freeze({ type: 'serviceAccount', id: 'dr-runner', source: 'context' }),
  context: () => site,
}
