/** The package's version, recorded in `audit.opened`. A test holds it to package.json. */
export const version = '0.1.0'
