// Fields and refusals that emulate's answers lack:
//
// - conversations.history and conversations.replies: `streaming_state` of messages that were streamed, which emulate's
//   types do not have (https://docs.slack.dev/reference/methods/chat.stopStream)
// - chat.update: it refuses a message that is still streamed (`streaming_state_conflict`)
// - users.info: `tz`, and `locale` with `include_locale` (https://docs.slack.dev/reference/methods/users.info)
// - conversations.replies: the pages, and `oldest`, `latest` and `inclusive`
//   (https://docs.slack.dev/reference/methods/conversations.replies). The earliest messages come first, and before them
//   the parent of the thread. For apps that are distributed outside of the Marketplace a page has 15 messages at most,
//   and a second call within a minute is refused (https://docs.slack.dev/apis/web-api/rate-limits).

import { streams } from "./slack_methods.mjs";

const COMPLETED = ["users.info", "conversations.replies", "conversations.history", "chat.update"];
const MOST = 1000; // messages of a page
const MOST_OUTSIDE = 15;
const MINUTE = 60_000; // milliseconds

let outside = false; // of the Marketplace
let lastCall = -Infinity;

export function distribute({ marketplace }) {
  outside = !marketplace;
  lastCall = -Infinity;
}

export async function completed(request, store, carryOut) {
  const method = new URL(request.url).pathname.replace("/api/", "");
  if (!COMPLETED.includes(method)) return carryOut(request);
  const args = await parameters(request.clone());
  if (method === "chat.update") {
    if (streams.get(args.ts) === "in_progress") return Response.json({ ok: false, error: "streaming_state_conflict" });
    return carryOut(request);
  }
  if (method === "conversations.replies" && outside) {
    if (Date.now() - lastCall < MINUTE) {
      const headers = { "Retry-After": String(Math.ceil((lastCall + MINUTE - Date.now()) / 1000)) };
      return Response.json({ ok: false, error: "ratelimited" }, { status: 429, headers });
    }
    lastCall = Date.now();
  }
  const answer = await (await carryOut(request)).json();
  if (!answer.ok) return Response.json(answer);
  if (method === "users.info") return Response.json(described(answer, args, store));
  answer.messages = answer.messages.map((each) =>
    streams.has(each.ts) ? { ...each, streaming_state: streams.get(each.ts) } : each,
  );
  return Response.json(method === "conversations.replies" ? page(answer, args) : answer);
}

function described(answer, { include_locale }, store) {
  const { tz, locale } = store.collection("slack.users").findOneBy("user_id", answer.user.id);
  const wanted = ["1", "true"].includes(String(include_locale));
  return { ...answer, user: { ...answer.user, tz, ...(wanted ? { locale } : {}) } };
}

function page({ messages, ...answer }, { ts, oldest, latest, inclusive, limit, cursor }) {
  const within = ["1", "true"].includes(String(inclusive));
  const after = (each) => !oldest || each.ts > oldest || (within && each.ts === oldest);
  const before = (each) => !latest || each.ts < latest || (within && each.ts === latest);
  const begins = cursor ? atob(cursor).replace("next_ts:", "") : "";
  const parent = cursor ? [] : messages.filter((each) => each.ts === ts);
  const replies = messages.filter((each) => each.ts !== ts && after(each) && before(each) && each.ts >= begins);
  const most = Math.min(Number(limit) || MOST, outside ? MOST_OUTSIDE : MOST) - parent.length;
  const next = replies[most];
  return {
    ...answer,
    messages: [...parent, ...replies.slice(0, most)],
    has_more: next !== undefined,
    ...(next ? { response_metadata: { next_cursor: btoa(`next_ts:${next.ts}`) } } : {}),
  };
}

async function parameters(request) {
  const body = await request.text();
  if ((request.headers.get("content-type") ?? "").includes("application/json")) return JSON.parse(body);
  return Object.fromEntries(new URLSearchParams(body));
}
