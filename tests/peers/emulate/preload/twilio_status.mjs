// Twilio's status callbacks of WhatsApp messages: https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
//
// - A new message gets no callback for its first status, `queued`. Each later status has one:
//   https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
// - The order of callbacks is not guaranteed, and one may come before the answer to the API call. By default each message
//   is reported as sent and then as delivered. `POST reports` replaces this list, and says whether it comes `early`,
//   before the answer. `POST status` reports another status and waits for the gateway's answer.
// - The signature covers the address with its query. A fragment like `#rc=5&rp=all` stays here and says how often a
//   failed callback is repeated: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides

import { createHmac } from "node:crypto";

const USUAL = ["sent", "delivered"];
const PAUSE = 200; // milliseconds before a callback is repeated

const callbacks = new Map(); // the addresses, by SID
let reports = USUAL;
let early = false;

export const status = { wrap, control, reset };

function reset() {
  callbacks.clear();
  reports = USUAL;
  early = false;
}

function control({ store }) {
  return {
    "POST reports": (given) => {
      reports = given.statuses;
      early = given.early ?? false;
    },
    "POST status": ({ sid, status, code }) => report(store, sid, status, code),
  };
}

/** Create a message by `send`, without the callbacks of emulate itself, and report its statuses. */
async function wrap(store, form, send) {
  const address = form.get("StatusCallback");
  form.delete("StatusCallback");
  const answer = await send();
  if (!answer.ok || !address) return answer;
  const { sid } = await answer.clone().json();
  callbacks.set(sid, address);
  const reported = (async () => {
    for (const each of reports) await report(store, sid, each);
  })();
  if (early) await reported;
  return answer;
}

async function report(store, sid, status, code) {
  const messages = store.collection("twilio.messages");
  const message = messages.all().find((each) => each.sid === sid);
  if (!message) return;
  messages.update(message.id, { status, error_code: code ?? null });
  const address = callbacks.get(sid);
  if (!address) return;
  const account = store.collection("twilio.accounts").all().find((each) => each.sid === message.account_sid);
  await deliver(address, parameters(message, status, code), account.auth_token);
}

function parameters({ sid, account_sid, from, to, api_version }, status, code) {
  return {
    ChannelPrefix: "whatsapp",
    ApiVersion: api_version,
    MessageStatus: status,
    SmsSid: sid,
    SmsStatus: status,
    ChannelInstallSid: `XE${"1".repeat(32)}`,
    To: to,
    From: from,
    MessageSid: sid,
    AccountSid: account_sid,
    ChannelToAddress: to.replace("whatsapp:", ""),
    ...(status === "read" ? { EventType: "READ" } : {}),
    ...(code ? { EventType: "UNDELIVERED", ErrorCode: `${code}`, ChannelStatusMessage: "the channel's reason" } : {}),
  };
}

async function deliver(address, form, token) {
  const [url, overrides = ""] = address.split("#");
  const sorted = Object.keys(form).sort().map((key) => `${key}${form[key]}`);
  const signature = createHmac("sha1", token).update(url + sorted.join("")).digest("base64");
  const request = { method: "POST", headers: { "X-Twilio-Signature": signature }, body: new URLSearchParams(form) };
  const repeats = new URLSearchParams(overrides);
  for (let left = repeats.get("rp") === "all" ? Number(repeats.get("rc")) : 0; ; left -= 1) {
    const answered = await fetch(url, request).then((response) => response.ok, () => false);
    if (answered || left <= 0) return;
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}
