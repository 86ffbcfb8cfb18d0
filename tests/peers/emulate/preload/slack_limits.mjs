// Slack's rate limits, once a test asks for them: https://docs.slack.dev/apis/web-api/rate-limits. A method has a limit in
// a workspace, by its tier (the page of each method names it). `chat.postMessage` has its own: a message a second in a
// channel, where short bursts pass, and several hundred a minute in the workspace. A refusal says how long to wait, but
// not which limit it was. People have other limits than the app.

const BURST = 3; // messages in as many seconds
const OF_METHOD = { // calls a minute in the workspace
  "chat.appendStream": 100, // tier 4
  "chat.delete": 50, // tier 3
  "chat.postMessage": 300, // "several hundred"
  "chat.startStream": 20, // tier 2
  "chat.stopStream": 20, // tier 2
  "chat.update": 50, // tier 3
};

let calls = null; // the times of the calls, by limit; null while there are no limits

export function limit({ on }) {
  calls = on ? new Map() : null;
}

export async function limited(request) {
  const { pathname } = new URL(request.url);
  const method = pathname.replace("/api/", "");
  const isApp = (request.headers.get("authorization") ?? "").startsWith("Bearer xoxb-");
  if (!calls || !isApp || !(method in OF_METHOD)) return null;
  const limits = [[method, OF_METHOD[method], 60]];
  if (method === "chat.postMessage") limits.push([`in ${await channel(request)}`, BURST, BURST]);
  const now = performance.now() / 1000;
  const found = limits.map(([name, most, seconds]) => {
    const recent = (calls.get(name) ?? []).filter((at) => at > now - seconds);
    calls.set(name, recent);
    return { recent, wait: recent.length < most ? 0 : recent.at(-most) + seconds - now };
  });
  const wait = Math.max(...found.map((each) => each.wait));
  if (wait > 0) {
    const headers = { "Retry-After": String(Math.ceil(wait)) };
    return Response.json({ ok: false, error: "ratelimited" }, { status: 429, headers });
  }
  for (const { recent } of found) recent.push(now);
  return null;
}

async function channel(request) {
  const body = await request.text();
  const isJson = (request.headers.get("content-type") ?? "").includes("application/json");
  return isJson ? JSON.parse(body).channel : new URLSearchParams(body).get("channel");
}
