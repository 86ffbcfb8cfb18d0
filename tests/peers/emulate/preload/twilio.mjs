// Twilio's content templates with quick replies, which emulate lacks, and messages that are made of them:
// https://www.twilio.com/docs/content/content-api-resources and https://www.twilio.com/docs/content/twilio-quick-reply.
// The rules for variables are those of https://www.twilio.com/docs/content/using-variables-with-content-api and
// https://www.twilio.com/docs/api/errors/21656. All messages count as sent within the 24 hours, without an approval.

import { randomUUID } from "node:crypto";

import { status } from "./twilio_status.mjs";

const MESSAGES = /^\/2010-04-01\/Accounts\/\w+\/Messages\.json$/;
const VARIABLE = /\{\{(\w+)\}\}/g;
const UNFIT = /[\n\t]| {5}/; // for the value of a variable in the body

const contents = new Map(); // by SID
let buttons = []; // of the messages, oldest first

export const twilio = { register, control, reset };

function register({ app, store }) {
  const answer = app.fetch;
  app.fetch = async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname === "/v1/Content") return create(await request.json());
    if (request.method === "POST" && MESSAGES.test(pathname)) {
      const form = new URLSearchParams(await request.text());
      return status.wrap(store, form, () => send(request, form, answer));
    }
    return answer(request);
  };
}

function reset() {
  contents.clear();
  buttons = [];
  status.reset();
}

function control({ store }) {
  return {
    "GET deliveries": () => store.collection("twilio.webhook_deliveries").all(),
    "GET buttons": () => buttons,
    "POST forget-contents": () => contents.clear(),
    ...status.control({ store }),
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

async function send(request, form, answer) {
  const again = () => new Request(request.url, { method: "POST", headers: plain(request.headers), body: form.toString() });
  if (!form.has("ContentSid")) return answer(again());
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
  const sent = await answer(again());
  if (sent.ok) buttons.push({ sid: (await sent.clone().json()).sid, actions });
  return sent;
}

function plain(given) {
  const headers = new Headers(given);
  headers.delete("content-length");
  return headers;
}
