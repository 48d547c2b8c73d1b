/**
 * @node Loaded into every test process: holds each entry that any test makes to the shipped JSON Schema, as it is queued.
 * An entry that does not match fails the test file with an uncaught exception.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { AuditEvent } from '../src/audit/audit.ts'
import { validateEntry } from './validate.ts'

subscribe('keytrail', (message) => {
  // Only the emitter publishes on this channel.
  const event = message as AuditEvent
  if (event.type === 'entry') validateEntry(event.entry)
})
