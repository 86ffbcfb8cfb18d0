// The methods of the Web API that emulate lacks: streamed messages and the assistant's threads, as documented at
// https://docs.slack.dev/reference/methods/chat.startStream (appendStream, stopStream) and
// https://docs.slack.dev/reference/methods/assistant.threads.setStatus. The answer to any other unknown method is
// `unknown_method`, as at Slack. The `text` of a streamed message is the Markdown received so far.
//
// It also takes messages at a `response_url`: `/actions/CHANNEL/USER/NAME`, which works five times
// (https://docs.slack.dev/interactivity/handling-user-interaction#message_responses).

const MARKDOWN_MAX = 12_000; // characters

export const streams = new Map(); // the state of each message that was streamed, by its ts

export function addMethods(app, store) {
  const channels = () => store.collection("slack.channels");
  const messages = () => store.collection("slack.messages");
  let counter = 0;

  const method = (name, handler) =>
    app.post(`/api/${name}`, async (c) => {
      const user = c.get("authUser");
      if (!user) return c.json({ ok: false, error: "not_authed" });
      const answer = handler(await parameters(c), user);
      return c.json(typeof answer === "string" ? { ok: false, error: answer } : { ok: true, ...answer });
    });

  method("chat.startStream", (args, user) => {
    const channel = channels().findOneBy("channel_id", args.channel ?? "");
    if (!channel) return "channel_not_found";
    if (!args.thread_ts) return "invalid_arguments";
    const parent = messages().findBy("ts", args.thread_ts).find((m) => m.channel_id === channel.channel_id);
    if (!parent) return "message_not_found";
    if (!channel.is_im && !args.recipient_team_id) return "missing_recipient_team_id";
    if (!channel.is_im && !args.recipient_user_id) return "missing_recipient_user_id";
    const text = markdown(args);
    if (text.length > MARKDOWN_MAX) return "msg_too_long";

    const ts = `${Math.floor(Date.now() / 1000)}.9${String(++counter).padStart(5, "0")}`;
    messages().insert({
      ts, channel_id: channel.channel_id, user: user.login, text, type: "message", thread_ts: args.thread_ts,
      reply_count: 0, reply_users: [], reactions: [],
    });
    const reply_users = [...new Set([...parent.reply_users, user.login])];
    messages().update(parent.id, { reply_count: parent.reply_count + 1, reply_users });
    streams.set(ts, "in_progress");
    return { channel: channel.channel_id, ts };
  });

  const continued = (args, user, update) => {
    const message = messages().findBy("ts", args.ts ?? "").find((m) => m.channel_id === args.channel);
    if (!message) return "message_not_found";
    if (message.user !== user.login) return "message_not_owned_by_app";
    if (streams.get(message.ts) !== "in_progress") return "message_not_in_streaming_state";
    const text = markdown(args);
    if (text.length > MARKDOWN_MAX) return "msg_too_long";
    return update(messages().update(message.id, { text: message.text + text }));
  };

  method("chat.appendStream", (args, user) => {
    if (!args.markdown_text && !args.chunks) return "no_text";
    return continued(args, user, ({ channel_id, ts }) => ({ channel: channel_id, ts }));
  });

  method("chat.stopStream", (args, user) =>
    continued(args, user, (message) => {
      streams.set(message.ts, "completed");
      const { id, channel_id, ts, text, thread_ts } = message;
      const blocks = parsed(args.blocks);
      if (blocks) messages().update(id, { blocks });
      return { channel: channel_id, ts, message: { type: "message", user: user.login, text, ts, thread_ts, blocks } };
    }),
  );

  for (const name of ["setStatus", "setTitle", "setSuggestedPrompts"]) {
    method(`assistant.threads.${name}`, ({ channel_id }) =>
      channels().findOneBy("channel_id", channel_id ?? "") ? {} : "channel_not_found",
    );
  }
  const uses = new Map();
  app.post("/actions/:channel/:user/:name", async (c) => {
    const { channel, user, name } = c.req.param();
    uses.set(name, (uses.get(name) ?? 0) + 1);
    if (uses.get(name) > 5) return c.json({ ok: false, error: "used_url" }, 404);
    const { text, blocks, thread_ts, response_type, replace_original } = await c.req.json();
    if (!text && !blocks) return c.json({ ok: false, error: "no_text" }, 500);
    if (response_type !== "ephemeral" || replace_original) throw new Error("the stand-in takes only ephemeral messages");
    store.collection("slack.ephemeral_messages").insert({ channel_id: channel, target_user: user, text, blocks, thread_ts });
    return c.text("ok");
  });
  app.post("/api/:method", (c) => c.json({ ok: false, error: "unknown_method", req_method: c.req.param("method") }));
}

const parsed = (value) => (typeof value === "string" ? JSON.parse(value) : value);

function markdown({ markdown_text = "", chunks }) {
  const texts = (parsed(chunks) ?? []).filter(({ type }) => type === "markdown_text").map(({ text }) => text);
  return markdown_text + texts.join("");
}

async function parameters(c) {
  const body = await c.req.text();
  if ((c.req.header("Content-Type") ?? "").includes("application/json")) return JSON.parse(body);
  return Object.fromEntries(new URLSearchParams(body));
}
