/** @node Where `npm run runtimes` put each runtime and tool; absent in a user's clone, required in CI. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { root } from '../packed.ts'

const modules = join(root, '.runtimes/node_modules')

/** The programs, by the name under which the tests tell of them. */
export const programs = {
  'Node 20': join(modules, 'node-20/bin/node'),
  'Node 22': join(modules, 'node-22/bin/node'),
  'Node 24': join(modules, 'node-24/bin/node'),
  'Node 26': join(modules, 'node-26/bin/node'),
  Bun: join(modules, '@oven/bun-linux-x64/bin/bun'),
  Deno: join(modules, '@deno/linux-x64-glibc/deno'),
  workerd: join(modules, '@cloudflare/workerd-linux-64/bin/workerd'),
  Chromium: '/usr/bin/chromium',
  esbuild: join(modules, 'esbuild/bin/esbuild'),
  Jest: join(modules, 'jest/bin/jest.js'),
  'Vitest 5': join(modules, 'vitest/vitest.mjs'),
} as const

export type Program = keyof typeof programs

/** For `test(name, { skip: missing('Bun') }, …)`: false when it is there or must be, else the one line that says so. */
export function missing(program: Program): string | false {
  if (existsSync(programs[program]) || process.env['CI'] === 'true') return false
  const remedy = program === 'Chromium' ? "Debian's package chromium" : '`npm run runtimes`'
  return `${program} is not there; ${remedy} installs it`
}

const require = createRequire(join(modules, 'x.js'))

/** The part of esbuild that the tests use. */
export interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<Bundled>
}

export interface Bundled {
  readonly warnings: readonly { readonly text: string }[]
  readonly metafile: { readonly outputs: Readonly<Record<string, BundledOutput>> }
  readonly outputFiles: readonly { readonly contents: Uint8Array; readonly text: string }[]
}

export interface BundledOutput {
  readonly imports: readonly { readonly path: string }[]
  readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>>
}

/** The part of playwright-core that the tests use. */
export interface Playwright {
  readonly chromium: {
    launch(options: { readonly executablePath: string; readonly args: readonly string[] }): Promise<Browser>
  }
}

export interface Browser {
  newPage(options?: PageOptions): Promise<Page>
  close(): Promise<void>
}

export interface PageOptions {
  readonly colorScheme?: 'light' | 'dark'
  readonly javaScriptEnabled?: boolean
  readonly viewport?: { readonly width: number; readonly height: number }
}

export interface Page {
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> }
  on(event: 'pageerror', told: (error: Error) => void): void
  on(event: 'console', told: (message: { text(): string }) => void): void
  on(event: 'request', told: (request: { url(): string }) => void): void
  goto(url: string): Promise<unknown>
  click(selector: string): Promise<void>
  fill(selector: string, text: string): Promise<void>
  focus(selector: string): Promise<void>
  selectOption(selector: string, label: { readonly label: string }): Promise<unknown>
  emulateMedia(options: { readonly media?: 'print' | 'screen'; readonly colorScheme?: 'light' | 'dark' }): Promise<void>
  pdf(): Promise<Uint8Array>
  close(): Promise<void>
  /** What the expression is in the page; a promise is waited for. */
  evaluate(expression: string): Promise<unknown>
}

// Installed apart from the project's dependencies: only the interfaces above tell what they are.
export const esbuild = (): Esbuild => require('esbuild') as Esbuild
export const playwright = (): Playwright => require('playwright-core') as Playwright
