/** @node */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { counted, html, type Markup, named, type Piece, plural, textOf } from '../../src/report/html/markup.ts'
import { hostileTexts } from './reviews.ts'

test('what goes into a template is text, between tags and in quoted attributes', () => {
  const made = textOf(html`<td title="${`"><b>'`}">${'<script>&amp;'}</td>`)
  assert.equal(made, '<td title="&#34;&#62;&#60;b&#62;&#39;">&#60;script&#62;&#38;amp;</td>')
})

test('no text, whatever it is, brings a character that HTML acts upon', () => {
  for (const text of hostileTexts) assert.doesNotMatch(textOf(html`${text}`), /[<>"']|&(?!#\d+;)/)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(
        textOf(html`${text}`),
        /[<>"'\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
      )
    }),
  )
})

test('what hides or reorders text is shown as its number; quotes and backslashes are as they are', () => {
  assert.equal(textOf(html`${'a\u202eb\u0000c'}`), 'a\\u202eb\\u0000c')
  assert.equal(textOf(html`${'C:\\x "y"'}`), 'C:\\x &#34;y&#34;')
})

test('markup is only what a template made: an object of a file is shown as its text', () => {
  const inner = html`<b>${'x'}</b>`
  assert.equal(textOf(html`<p>${[inner, undefined, false, 'y', 3]}</p>`), '<p><b>x</b>y3</p>')
  const forged: unknown = JSON.parse('{"made":"<img>","markup":"<img>","Symbol(markup)":"<img>"}')
  // A trail that was tampered with holds what its types do not say.
  const text = textOf(html`${forged as Piece}`)
  assert.ok(text.startsWith('{&#34;made'))
  assert.ok(!text.includes('<'))
  assert.equal(textOf(html`${null as unknown as Markup}`), 'null')
})

test('long names are cut, with their length told; names of other scripts are set apart', () => {
  assert.equal(textOf(named('orders')), 'orders')
  assert.equal(textOf(named('שלום')), '<bdi>שלום</bdi>')
  assert.equal(
    textOf(named('x'.repeat(10_000), 5)),
    '<bdi>xxxxx</bdi>… <small class="quiet">(10,000 characters)</small>',
  )
})

test('numbers are grouped, and what is no number is shown as it is', () => {
  assert.equal(counted(1_234_567), '1,234,567')
  assert.equal(counted('<b>'), '<b>')
  assert.equal(plural(1, 'entry', 'entries'), '1 entry')
  assert.equal(plural(2000, 'entry', 'entries'), '2,000 entries')
  assert.equal(plural(0, 'key'), '0 keys')
})
