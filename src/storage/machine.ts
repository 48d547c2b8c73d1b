/** @node Which machine this is, and which start of it. */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { systemCode } from './filesystem.ts'

/** The kernel's boot id: another one after each start. Where the system tells none, the host's name stands for all of them. */
export async function bootId(): Promise<string> {
  return (await firstLine('/proc/sys/kernel/random/boot_id')) ?? `unknown, on ${hostname()}`
}

/** The machine's id, as systemd and D-Bus keep it. Empty where there is none, as in many containers. */
export async function machineId(): Promise<string> {
  const id = await firstLine('/etc/machine-id')
  return id !== undefined && /^[0-9a-f]{32}$/.test(id) ? id : ''
}

async function firstLine(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return undefined
  }
}
