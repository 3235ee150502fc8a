/** Control characters, including those of C1. */
// oxlint-disable-next-line no-control-regex -- this looks for control characters
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Whether a text has 1 to `most` characters without control characters and halves of surrogate pairs. */
export function isPlainText(text: string, most: number): boolean {
  return text.length >= 1 && text.length <= most && !CONTROL.test(text) && text.isWellFormed();
}
