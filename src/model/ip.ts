/** IP addresses as text: strict reading, one spelling, and the prefixes of the field policy. */

/** The address in its one spelling (RFC 5952; an IPv4-mapped IPv6 address as IPv4), or undefined if it is not one. */
export function normalizeIp(text: string): string | undefined {
  const groups = groupsOfIp(text)
  return groups?.length === 4 ? groups.join('.') : groups && formatIPv6(groups)
}

/** Four numbers of 8 bits, of an IPv4-mapped IPv6 address too, or eight of 16; undefined if it is not an address. */
export function groupsOfIp(text: string): readonly number[] | undefined {
  if (text.length > 45) return undefined
  const four = parseIPv4(text)
  if (four !== undefined) return four
  const six = parseIPv6(text)
  if (six === undefined) return undefined
  const isMapped = six.slice(0, 5).every((group) => group === 0) && six[5] === 0xffff
  return isMapped ? mappedIPv4(six) : six
}

/** The /24 of an IPv4 or the /48 of an IPv6 address in its one spelling. */
export function prefixOf(normalized: string): string {
  const four = parseIPv4(normalized)
  if (four !== undefined) return `${four.slice(0, 3).join('.')}.0/24`
  const six = parseIPv6(normalized) ?? []
  return `${formatIPv6([...six.slice(0, 3), 0, 0, 0, 0, 0])}/48`
}

/** Four decimal numbers without leading zeros: the octal, hexadecimal and short forms of inet_aton are refused. */
function parseIPv4(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const numbers = parts.map((part) => (/^(?:0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256))
  return numbers.every((number) => number <= 255) ? numbers : undefined
}

/** Eight groups (RFC 4291 §2.2), with at most one `::` and optionally IPv4 at the end; no zone, no brackets. */
function parseIPv6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half) => parseGroups(half))
  const [head, tail] = groups
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  // An embedded IPv4 address may only end the whole.
  if (halves.length === 2 && halves[0]?.includes('.')) return undefined
  if (tail === undefined) return head.length === 8 ? head : undefined
  const zeros = 8 - head.length - tail.length
  return zeros < 1 ? undefined : [...head, ...new Array<number>(zeros).fill(0), ...tail]
}

function parseGroups(half: string): number[] | undefined {
  if (half === '') return []
  const out: number[] = []
  const parts = half.split(':')
  for (const [at, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(Number.parseInt(part, 16))
    else {
      const [a, b, c, d] = at === parts.length - 1 ? (parseIPv4(part) ?? []) : []
      if (a === undefined || b === undefined || c === undefined || d === undefined) return undefined
      out.push((a << 8) | b, (c << 8) | d)
    }
  }
  return out
}

function mappedIPv4(groups: readonly number[]): readonly number[] {
  return groups.slice(6).flatMap((group) => [group >> 8, group & 0xff])
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIPv6(groups: readonly number[]): string {
  let start = -1
  let length = 1
  for (let at = 0; at < groups.length; at++) {
    let run = 0
    while (groups[at + run] === 0) run++
    if (run > length) {
      start = at
      length = run
    }
    at += run
  }
  const hex = groups.map((group) => group.toString(16))
  if (start < 0) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}
