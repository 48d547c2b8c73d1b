/** Lists of texts as parameters of rules: names of keys, actors, providers. */
import { KmsError } from '../model/errors.ts'

/** @throws KmsError `INVALID_INPUT` unless `texts` is a list of texts that are not empty. */
export function checkTexts(name: string, texts: readonly string[]): void {
  // Of a parameter only the kind was looked at.
  const items: readonly unknown[] = texts
  if (!items.every((item) => typeof item === 'string' && item !== ''))
    throw new KmsError('INVALID_INPUT', `'${name}' must be a list of texts, none of them empty`)
}
