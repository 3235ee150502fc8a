/** Control characters, C1 ones too. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Whether a text has 1 to `most` characters, none of which ends a line, hides, or is half of one. */
export function isPlainText(text: string, most: number): boolean {
  return text.length >= 1 && text.length <= most && !CONTROL.test(text) && text.isWellFormed();
}
