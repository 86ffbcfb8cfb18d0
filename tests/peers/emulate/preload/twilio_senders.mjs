// Twilio's WhatsApp senders and Messaging Services, with the addresses of their webhooks:
// https://www.twilio.com/docs/whatsapp/api/senders and https://www.twilio.com/docs/messaging/api/service-resource.
// The sandbox is not among the senders.

const SENDERS = "/v2/Channels/Senders";
const SENDER = /^\/v2\/Channels\/Senders\/(XE[0-9a-f]{32})$/;
const SERVICE = /^\/v1\/Services\/(MG[0-9a-f]{32})$/;
const URL_FIELDS = ["callback_url", "fallback_url", "status_callback_url"];

const senders = new Map(); // by SID
const services = new Map(); // by SID, with the addresses of the senders in `pool`

export function reset() {
  senders.clear();
  services.clear();
}

export const controls = {
  "POST sender": (sender) => void senders.set(sender.sid, { status: "ONLINE", profile: { name: "Bot" }, ...sender }),
  "GET senders": () => [...senders.values()],
  "POST service": (service) => void services.set(service.sid, service),
};

const refused = (code, message, status) => Response.json({ code, message, status }, { status });

// Answer a request about a sender or a service; undefined for any other request.
export async function answer(request) {
  const url = new URL(request.url);
  if (url.pathname === SENDERS) return list(url);
  const [, sid] = SENDER.exec(url.pathname) ?? [];
  if (sid) return request.method === "POST" ? update(sid, await request.json()) : one(senders.get(sid));
  const [, service] = SERVICE.exec(url.pathname) ?? [];
  return service ? one(services.get(service)) : undefined;
}

// https://www.twilio.com/docs/api/errors/21701 and 21603: a sender may be given in addition to its service.
export function refusalOf(form) {
  const sid = form.get("MessagingServiceSid");
  if (!sid) return undefined;
  const service = services.get(sid);
  if (!service) return refused(21701, "The Messaging Service does not exist", 400);
  const from = form.get("From");
  return from && !service.pool.includes(from) ? refused(21711, "The sender is not associated with the service", 400) : undefined;
}

const one = (found) => (found ? Response.json(found) : refused(20404, "The requested resource was not found", 404));

function list(url) {
  if (url.searchParams.get("Channel") !== "whatsapp") return refused(20001, "Channel is missing", 400);
  const size = Number(url.searchParams.get("PageSize") ?? 50);
  const page = Number(url.searchParams.get("Page") ?? 0);
  const all = [...senders.values()];
  const next = new URL(url);
  next.searchParams.set("Page", page + 1);
  const meta = { key: "senders", page, page_size: size, url: url.href, previous_page_url: null };
  meta.next_page_url = (page + 1) * size < all.length ? next.href : null;
  return Response.json({ senders: all.slice(page * size, (page + 1) * size), meta });
}

function update(sid, changes) {
  const sender = senders.get(sid);
  if (!sender) return one(undefined);
  if (URL_FIELDS.some((name) => changes.webhook?.[name] && !/^https?:/.test(changes.webhook[name]))) {
    return refused(20001, "A webhook URL is invalid", 400);
  }
  senders.set(sid, { ...sender, ...changes }); // fields that are sent, even as null, replace what was there
  return Response.json(senders.get(sid), { status: 202 });
}
