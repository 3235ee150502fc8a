import { toScriptData } from "./content.ts";

/** A published event, as one listener of the SSE extension of HTMX 2 gets it. */
export class PublishedEvent extends MessageEvent<string> {
  readonly published: unknown;

  constructor(type: string, published: unknown, lastEventId: string) {
    super(type, { data: toScriptData(published), lastEventId });
    this.published = published;
  }

  /** Replaces `data` by what the extension is about to swap in. */
  show(content: string): void {
    Object.defineProperty(this, "data", { value: content });
  }
}
