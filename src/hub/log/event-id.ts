/** An id in the form in which the log writes it: no sign, no exponent, no leading zero, below 10^16. */
const EVENT_ID = /^(?:0|[1-9][0-9]{0,15})$/;

/** The seq of an event id; null if the text is not an id as the log writes it. */
export function seqOf(eventId: string): number | null {
  const seq = EVENT_ID.test(eventId) ? Number(eventId) : Number.NaN;
  return Number.isSafeInteger(seq) ? seq : null;
}
