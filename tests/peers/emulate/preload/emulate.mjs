// Node loads this file before emulate (`node --import`). It changes what the seed file cannot:
//
// - Unknown and revoked tokens are refused. (Emulate itself takes them for the first person of the seed.)
// - Only the people, channels and mailboxes of the seed exist, and no default ones.
// - There is no hourly rate limit.
// - Routes under /_peers give a journal, scripted failures and a reset of all servers (control.mjs).
// - Slack has fixed ids, complete events (slack.mjs) and the Web API methods that emulate lacks (slack_methods.mjs).
// - Twilio has content templates (twilio.mjs).

import { readdirSync } from "node:fs";

import "../../leash.mjs";
import { addControl } from "./control.mjs";
import { slack } from "./slack.mjs";
import { twilio } from "./twilio.mjs";

const ADDITIONS = { slack, twilio };
const resets = []; // a function of each server
const OAUTH_CLIENTS = { google: "google.oauth_clients", slack: "slack.oauth_apps", github: "github.oauth_apps" };

for (const [name, entry] of Object.entries(await serviceRegistry())) {
  const load = entry.load;
  entry.defaultFallback = () => undefined;
  entry.load = async () => wrap(name, await load());
}

async function serviceRegistry() {
  const dist = new URL(".", import.meta.resolve("emulate"));
  for (const file of readdirSync(dist).filter((name) => /^chunk-.*\.js$/.test(name))) {
    const { SERVICE_REGISTRY } = await import(new URL(file, dist));
    if (SERVICE_REGISTRY) return SERVICE_REGISTRY;
  }
  throw new Error("peers: no file of emulate exports SERVICE_REGISTRY; is the version of package.json installed?");
}

function wrap(name, { plugin, seedFromConfig, ...rest }) {
  const added = ADDITIONS[name] ?? {};
  let reseed = () => {};
  return {
    ...rest,
    plugin: {
      ...plugin,
      register(app, store, webhooks, baseUrl, tokenMap) {
        dropHourlyLimit(app);
        const context = { app, store, webhooks, baseUrl, tokenMap };
        plugin.register(app, store, webhooks, baseUrl, tokenMap);
        added.register?.(context);
        const forget = addControl(app, {
          who: (token) => tokenMap.get(token)?.login ?? added.who?.(store, token) ?? null,
          ...redirectUris(store, OAUTH_CLIENTS[name]),
          ...added.control?.(context),
          "POST reset": () => resets.forEach((reset) => reset()),
        });
        resets.push(() => {
          store.reset();
          tokenMap.clear();
          added.reset?.(context);
          reseed();
          forget();
        });
      },
      seed: undefined,
    },
    seedFromConfig(store, baseUrl, config, webhooks) {
      seedFromConfig(store, baseUrl, {}, webhooks); // creates the tables with their indexes
      reseed = () => {
        added.seed?.(store, config);
        seedFromConfig(store, baseUrl, config, webhooks);
      };
      reseed();
    },
  };
}

function dropHourlyLimit(app) {
  const others = app.middleware.filter(({ handlers }) => !handlers.some((h) => `${h}`.includes("X-RateLimit-Limit")));
  if (others.length !== app.middleware.length - 1) throw new Error("peers: the middleware of the rate limit was not found");
  app.middleware = others;
}

// The redirect URIs in the settings of the OAuth client.
function redirectUris(store, table) {
  if (!table) return {};
  const set = ({ uris }) => {
    const clients = store.collection(table);
    for (const { id } of clients.all()) clients.update(id, { redirect_uris: uris });
  };
  return { "POST redirect-uris": set };
}
