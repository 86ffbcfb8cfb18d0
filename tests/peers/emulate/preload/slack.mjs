// Slack with the ids of the seed for people, team and channels, and with events in the format that Slack documents
// (https://docs.slack.dev/apis/events-api/). Events are sent only for conversations that the bot is in.

import { randomUUID } from "node:crypto";

import { completed, distribute } from "./slack_answers.mjs";
import { blocksRefused } from "./slack_blocks.mjs";
import { limit, limited } from "./slack_limits.mjs";
import { addMethods } from "./slack_methods.mjs";

const SUBSCRIBED = ["message", "app_mention", "member_joined_channel"];

const tables = (store) => {
  const table = (name) => store.collection(`slack.${name}`);
  return { teams: table("teams"), users: table("users"), channels: table("channels"), bots: table("bots"),
    messages: table("messages"), ephemeral: table("ephemeral_messages") };
};

export const slack = { seed, register, control, reset, who };

// Emulate's own seeding runs after this one, and skips names that exist already.
function seed(store, { team, users, channels, oauth_apps: [app] }) {
  const { teams, users: people, channels: rooms } = tables(store);
  const now = Math.floor(Date.now() / 1000);
  teams.insert({ team_id: team.id, name: team.name, domain: team.domain });
  for (const { id, name, real_name, email, tz, locale } of users) {
    const names = { display_name: name, display_name_normalized: name, real_name, real_name_normalized: real_name };
    people.insert({
      user_id: id, team_id: team.id, name, real_name, email, tz, locale, is_admin: false, is_bot: false, deleted: false,
      profile: { ...names, email, status_text: "", status_emoji: "", status_emoji_display_info: [], status_expiration: 0 },
      presence: "active", manual_presence: "auto", connection_count: 1, last_activity: now,
    });
  }
  const creator = users[0].id;
  const members = [...users.map(({ id }) => id), app.bot_user_id];
  for (const { id, name } of channels) {
    const blank = { value: "", creator, last_set: now };
    rooms.insert({
      channel_id: id, team_id: team.id, name, is_channel: true, is_private: false, is_archived: false,
      topic: blank, purpose: blank, members: [...members], creator, num_members: members.length,
    });
  }
}

// Events are sent in order, one at a time, after the API call that caused them has been answered, as at Slack.
// (Emulate itself answers the call only after the receiver has answered the event.)
let queue = Promise.resolve();
let epoch = 0; // increases with each new receiver and each reset: events that were queued before are dropped

function register({ app, store, webhooks }) {
  const deliver = webhooks.dispatch.bind(webhooks);
  webhooks.dispatch = async (type, action, payload, owner) => {
    const mine = epoch;
    for (const envelope of envelopes(store, payload)) {
      queue = queue.then(() => mine === epoch && deliver(envelope.event.type, action, envelope, owner));
    }
  };
  subscribe(webhooks, process.env.SLACK_EVENTS_URL);
  addMethods(app, store);

  const answer = app.fetch;
  app.fetch = async (request) => {
    const post = await asFormPost(request);
    return (await limited(post.clone())) ?? (await blocksRefused(post.clone())) ?? completed(post, store, answer);
  };
}

function subscribe(webhooks, url) {
  epoch += 1;
  webhooks.clear();
  if (url) webhooks.register({ url, events: SUBSCRIBED, active: true, owner: "slack" });
}

function reset({ webhooks }) {
  subscribe(webhooks, process.env.SLACK_EVENTS_URL);
  distribute({ marketplace: true });
  limit({ on: false });
  webhooks.deliveries.length = 0;
}

function control({ store, webhooks }) {
  return {
    "POST events-url": ({ url }) => subscribe(webhooks, url),
    "POST distribution": distribute,
    "POST limit": limit,
    "GET deliveries": () => webhooks.getDeliveries(),
    "GET ephemeral": () => tables(store).ephemeral.all(),
  };
}

function who(store, token) {
  return store.collection("slack.tokens").findOneBy("token", token)?.user_id;
}

// Slack's SDK sends calls that read as GET, and some others with a query string, but emulate reads only bodies.
async function asFormPost(request) {
  const url = new URL(request.url);
  if (!url.pathname.startsWith("/api/") || (request.method !== "GET" && !url.search)) return request;
  const params = new URLSearchParams(url.search);
  for (const [name, value] of new URLSearchParams(request.method === "GET" ? "" : await request.text())) {
    params.set(name, value);
  }
  const headers = new Headers(request.headers);
  headers.delete("content-length");
  headers.set("content-type", "application/x-www-form-urlencoded");
  return new Request(url.origin + url.pathname, { method: "POST", headers, body: params.toString() });
}

function envelopes(store, payload) {
  const { bots, channels, messages, teams } = tables(store);
  const bot = bots.all()[0];
  const team = teams.all()[0].team_id;
  const event = { ...payload.event };
  const channel = channels.findOneBy("channel_id", event.channel);
  if (!SUBSCRIBED.includes(event.type) || !channel?.members.includes(bot.user_id)) return [];

  const envelope = {
    token: "verification-token",
    ...payload,
    team_id: team,
    context_team_id: team,
    context_enterprise_id: null,
    api_app_id: bot.app_id,
    authorizations: [
      { enterprise_id: null, team_id: team, user_id: bot.user_id, is_bot: true, is_enterprise_install: false },
    ],
    is_ext_shared_channel: false,
    event_context: `4-${Buffer.from(JSON.stringify({ tid: team, cid: event.channel })).toString("base64url")}`,
  };
  event.event_ts ??= event.ts ?? `${payload.event_time}.000000`;
  if (event.type !== "message") return [{ ...envelope, event }];

  const spoken = !event.subtype || event.subtype === "file_share";
  if (spoken && event.user === bot.user_id) Object.assign(event, botFields(bot, team));
  else if (spoken) Object.assign(event, { client_msg_id: randomUUID(), team });
  if (spoken && event.thread_ts && event.thread_ts !== event.ts) {
    const parent = messages.findBy("ts", event.thread_ts).find((m) => m.channel_id === event.channel);
    if (parent) event.parent_user_id = parent.user;
  }
  const mention = { ...event, type: "app_mention" };
  event.channel_type = channel.is_im ? "im" : channel.is_mpim ? "mpim" : channel.is_private ? "group" : "channel";

  const mentioned = spoken && !channel.is_im && !event.bot_id && mentions(event.text, bot.user_id);
  const sent = [{ ...envelope, event }];
  if (mentioned) {
    const { context_team_id, context_enterprise_id, ...without } = envelope; // an app_mention has no context
    sent.push({ ...without, event_id: `Ev${randomUUID().replaceAll("-", "")}`, event: mention });
  }
  return sent;
}

const mentions = (text, user) => text.includes(`<@${user}>`) || text.includes(`<@${user}|`);

function botFields({ app_id, bot_id, name }, team_id) {
  const bot_profile = { id: bot_id, app_id, name, deleted: false, updated: 0, icons: {}, team_id };
  return { app_id, bot_id, bot_profile, team: team_id };
}
