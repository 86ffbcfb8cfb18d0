// Twilio's content templates with quick replies, which emulate lacks, and messages that are made of them:
// https://www.twilio.com/docs/content/content-api-resources and https://www.twilio.com/docs/content/twilio-quick-reply.
// The rules for variables are those of https://www.twilio.com/docs/content/using-variables-with-content-api and
// https://www.twilio.com/docs/api/errors/21656. All messages count as sent within the 24 hours, without an approval: a text
// outside of them fails only after Twilio has taken it (63016). People who opted out of a Messaging Service with Advanced
// Opt-Out get no message: https://www.twilio.com/docs/api/errors/21610.

import { randomUUID } from "node:crypto";

import * as senders from "./twilio_senders.mjs";
import { status } from "./twilio_status.mjs";

const MESSAGES = /^\/2010-04-01\/Accounts\/\w+\/Messages\.json$/;
const VARIABLE = /\{\{(\w+)\}\}/g;
const ID = /^whatsapp:[A-Z]{2}\.[A-Za-z0-9]{1,128}$/; // business-scoped, in place of a phone number
const STAND_IN = "whatsapp:+999000000"; // emulate takes only phone numbers
const UNFIT = /[\n\t]| {5}/; // for the value of a variable in the body

const contents = new Map(); // by SID
let buttons = []; // of the messages, oldest first
const optedOut = new Set(); // addresses

export const twilio = { register, control, reset };

function register({ app, store }) {
  const answer = app.fetch;
  const messages = store.collection("twilio.messages");
  app.fetch = async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname === "/v1/Content") return create(await request.json());
    if (request.method === "POST" && MESSAGES.test(pathname)) {
      const form = new URLSearchParams(await request.text());
      return status.wrap(store, form, () => send(request, form, answer, messages));
    }
    return (await senders.answer(request)) ?? answer(request);
  };
}

function reset() {
  contents.clear();
  optedOut.clear();
  senders.reset();
  buttons = [];
  status.reset();
}

function control({ store }) {
  return {
    "GET deliveries": () => store.collection("twilio.webhook_deliveries").all(),
    "GET buttons": () => buttons,
    "POST forget-contents": () => contents.clear(),
    ...status.control({ store }),
    "POST content": ({ sid, body, variables }) => void contents.set(sid, { body, actions: [], variables: variables ?? {} }),
    "POST opt-out": ({ address }) => void optedOut.add(address),
    ...senders.controls,
  };
}

const refused = (code, message, status = 400) => Response.json({ code, message, status }, { status });
const isText = (value, most) => typeof value === "string" && value.trim() !== "" && value.length <= most;

function create({ friendly_name, language, variables = {}, types = {} }) {
  const reply = types["twilio/quick-reply"];
  if (!isText(language, 10) || !reply) return refused(92000, "The request is invalid");
  const { body, actions } = reply;
  if (!isText(body, 1024)) return refused(92004, "Invalid body");
  const valid = ({ title, id }) => isText(title, 20) && isText(id, 200);
  if (!(actions?.length >= 1 && actions.length <= 10 && actions.every(valid))) return refused(92004, "Invalid actions");
  const used = [...`${body}${JSON.stringify(actions)}`.matchAll(VARIABLE)].map(([, name]) => name);
  if (new Set(used).size > 100 || used.some((name) => name.length > 16)) return refused(92002, "Invalid variables");
  if (used.some((name) => !variables[name])) return refused(92005, "Samples are missing");
  const sid = `HX${randomUUID().replaceAll("-", "")}`;
  contents.set(sid, { body, actions, variables });
  return Response.json({ sid, friendly_name, language, variables, types }, { status: 201 });
}

async function send(request, form, answer, messages) {
  if (optedOut.has(form.get("To"))) return refused(21610, "Attempt to send to unsubscribed recipient");
  const refusal = senders.refusalOf(form);
  if (refusal) return refusal;
  form.delete("MessagingServiceSid");
  if (!form.has("ContentSid")) return pass(request, form, answer, messages);
  const content = contents.get(form.get("ContentSid"));
  if (!content || form.has("Body")) return refused(21655, "The ContentSid is Invalid");
  let given;
  try {
    given = { ...content.variables, ...JSON.parse(form.get("ContentVariables") ?? "{}") };
  } catch {
    return refused(21656, "The ContentVariables Parameter is invalid");
  }
  const inBody = [...content.body.matchAll(VARIABLE)].map(([, name]) => given[name]);
  if (!Object.values(given).every((value) => isText(value, 1600)) || inBody.some((value) => UNFIT.test(value))) {
    return refused(21656, "The ContentVariables Parameter is invalid");
  }
  const filled = (text) => text.replaceAll(VARIABLE, (_, name) => given[name]);
  const actions = content.actions.map(({ title, id }) => ({ title: filled(title), id: filled(id) }));
  const titles = new Set(actions.map(({ title }) => title));
  if (filled(content.body).length > 1024 || actions.length > 3 || titles.size < actions.length) {
    return refused(63021, "Channel invalid content error");
  }
  form.delete("ContentSid");
  form.delete("ContentVariables");
  form.set("Body", filled(content.body));
  const sent = await pass(request, form, answer, messages);
  if (sent.ok && actions.length) buttons.push({ sid: (await sent.clone().json()).sid, actions });
  return sent;
}

// Have emulate send a message, also to a business-scoped id.
async function pass(request, form, answer, messages) {
  const to = form.get("To");
  if (ID.test(to)) form.set("To", STAND_IN);
  const sent = await answer(new Request(request.url, { method: "POST", headers: plain(request.headers), body: form.toString() }));
  if (!ID.test(to) || !sent.ok) return sent;
  const message = await sent.json();
  messages.update(messages.all().find(({ sid }) => sid === message.sid).id, { to });
  return Response.json({ ...message, to }, { status: sent.status });
}

function plain(given) {
  const headers = new Headers(given);
  headers.delete("content-length");
  return headers;
}
