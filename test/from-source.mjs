// What `node` is told so that it runs TypeScript from source, whatever the working folder.
export const fromSource = ['--conditions=keytrail-source', '--import', import.meta.resolve('./source.mjs')]
