/** How the endpoint refuses: an error as AWS names it. */

const refusals = new WeakMap<Error, string>()

/** An error that leaves the endpoint under `name`. */
export function refusal(name: string, message = ''): Error {
  const error = new Error(message)
  error.name = name
  refusals.set(error, name)
  return error
}

/** Its name, if it is one of ours. */
export function refusalName(error: unknown): string | undefined {
  return error instanceof Error ? refusals.get(error) : undefined
}

export function notFound(keyArn: string): Error {
  return refusal('NotFoundException', `Key '${keyArn}' does not exist`)
}

/** As AWS words what breaks its model. */
export function invalid(path: string, constraint: string): Error {
  return refusal(
    'ValidationException',
    `1 validation error detected: Value at '${path}' failed to satisfy constraint: ${constraint}`,
  )
}
