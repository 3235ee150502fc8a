/** The console: the page at `/`, which shows what happens in a channel. */
import { Chart } from "./chart.ts";
import { Clients } from "./clients.ts";
import { byId, create, setText } from "./dom.ts";
import { Drain } from "./drain.ts";
import { EventList } from "./event-list.ts";
import { exampleTypes } from "./examples.ts";
import { Feed, type Gap, type LinkState } from "./feed.ts";
import { FilterForm } from "./filter-form.ts";
import { Inspector } from "./inspector.ts";
import { Link } from "./link.ts";
import { PublishForm } from "./publish-form.ts";
import { ReadToken } from "./read-token.ts";
import { isRefused, readFields, readHealth } from "./service.ts";
import { Snippets } from "./snippets.ts";
import { Stats } from "./stats.ts";
import { Traffic } from "./traffic.ts";
import { pageQuery, readView, type View } from "./view.ts";

const HEALTH_EVERY_MS = 2_000;

/** The most types that the inputs suggest: those of the examples and those that were seen. */
const OFFERED_TYPES = 100;

const fields = await readFields();
let view = readView(location.search, fields);
let feed: Feed | undefined;
/** A channel that the service refuses, so that asking for its health again is no use. */
let refusedChannel: string | undefined;

const traffic = new Traffic(nowSeconds());
const chart = new Chart(traffic);
const stats = new Stats();
const snippets = new Snippets(view);
const drain = new Drain(
  () => view.channel,
  () => {
    clients.refresh();
    void askHealth();
  },
);
const clients = new Clients(
  () => view.channel,
  (token) => (drain.token = token),
);
const publishForm = new PublishForm(fields, () => view.channel);
const inspector = new Inspector(fields, (name, value) =>
  look(
    name === "types" ? { ...view, types: [value] } : { ...view, fields: { ...view.fields, [name]: [value] } },
  ),
);
const list = new EventList((event) => inspector.show(event, view.channel, readToken.value));
const filterForm = new FilterForm(view, look);
const link = new Link(
  () => feed?.open(),
  () => feed?.close(),
);
const readToken = new ReadToken(() => {
  list.clear();
  connect();
  void askHealth();
});
const types = new Set<string>();
const notice = byId("notice", HTMLParagraphElement);

exampleTypes.forEach(offerType);
connect();
setInterval(tick, 1_000);
void watchHealth();

document.addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
  if (event.key.toLowerCase() === "p" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    list.togglePause();
  }
});

/** Changes the view and starts the list again. */
function look(next: View): void {
  const hasMoved = next.channel !== view.channel;
  view = next;
  history.replaceState(null, "", `${location.pathname}${pageQuery(view)}`);
  filterForm.show(view);
  snippets.show(view, readToken.isNeeded);
  list.clear();
  if (hasMoved) {
    traffic.reset();
    clients.ownId = undefined;
    drain.isDraining = false;
    void askHealth();
  }
  connect();
}

function connect(): void {
  feed?.close();
  feed = new Feed(view, readToken.value, {
    onEvents: (events) => {
      list.add(events);
      for (const { id, type } of events) {
        offerType(type);
        publishForm.arrived(id);
        traffic.reached(Number(id));
      }
    },
    onConnected: (id) => (clients.ownId = id),
    onHead: (id) => traffic.started(id),
    onGap: tellGap,
    onLocked: (refusal) => {
      readToken.ask(refusal);
      snippets.show(view, true);
    },
    onState: showState,
  });
  feed.open();
}

function tellGap({ reason, oldest_id }: Gap): void {
  if (reason === "expired") {
    const rest = oldest_id === null ? "" : ` The list continues with event ${oldest_id}.`;
    tell(`Some events are no longer stored.${rest}`);
  } else {
    traffic.reset();
    tell("The log of this channel was replaced. The list continues with the events of the new log.");
  }
}

function showState(state: LinkState, problem: string | undefined): void {
  link.show(state, problem);
  if (state === "connected") {
    refusedChannel = undefined;
  }
  if (state === "disconnected" || state === "connecting") {
    tell(problem ?? "");
  }
}

function tick(): void {
  const rate = traffic.tick(nowSeconds());
  const lastMinute = traffic.events.slice(-60).reduce<number>((sum, count) => sum + (count ?? 0), 0);
  stats.showTraffic(rate, lastMinute, traffic.head);
  if (!document.hidden) {
    chart.draw();
  }
}

async function watchHealth(): Promise<never> {
  for (;;) {
    if (!document.hidden && view.channel !== refusedChannel) {
      await askHealth();
    }
    await new Promise((resolve) => setTimeout(resolve, HEALTH_EVERY_MS));
  }
}

async function askHealth(): Promise<void> {
  const { channel } = view;
  try {
    const health = await readHealth(channel, readToken.value);
    if (channel === view.channel) {
      stats.showHealth(health);
      drain.isDraining = health.status === "draining";
      traffic.measured(health.lastEventId, health.activeConnections);
    }
  } catch (error) {
    if (channel === view.channel) {
      refusedChannel = isRefused(error) ? channel : undefined;
      stats.showNothing(refusedChannel === undefined ? "unreachable" : "refused");
      traffic.measured(null, null);
    }
  }
}

function offerType(type: string): void {
  if (!types.has(type) && types.size < OFFERED_TYPES) {
    types.add(type);
    const option = create("option");
    option.value = type;
    byId("known-types", HTMLDataListElement).append(option);
  }
}

function tell(text: string): void {
  notice.hidden = text === "";
  setText(notice, text);
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
