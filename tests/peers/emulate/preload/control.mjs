// The routes that let tests control a server, at `METHOD /_peers/<name>`, with JSON requests and answers:
//
// - GET calls: every request so far {method, path, query, authorization, person, body, status}; `person` is the
//   owner of the request's token
// - POST fail: {path, method?, status, headers?, body?, times?, after?, delay?}: answer the next `times` requests
//   for `path` with this error. With `after`, each request is carried out first. `delay` is in seconds.
// - POST heal: remove the scripted failures
// - POST forget: clear the journal and remove the scripted failures
//
// `more` has the routes that a server adds. Returns the function that "POST forget" calls.

const JOURNAL_MAX = 20_000; // calls

export function addControl(app, { who, ...more }) {
  const answer = app.fetch;
  const calls = [];
  const failures = [];
  const forget = () => void (calls.length = failures.length = 0);
  const controls = {
    "GET calls": () => calls,
    "POST fail": (failure) => void failures.push({ times: 1, headers: {}, ...failure }),
    "POST heal": () => void (failures.length = 0),
    "POST forget": forget,
    ...more,
  };

  app.fetch = async (request) => {
    const url = new URL(request.url);
    const bytes = await request.arrayBuffer();
    const body = new TextDecoder().decode(bytes);
    if (url.pathname.startsWith("/_peers/")) return control(request.method, url, body);

    const authorization = request.headers.get("authorization");
    const call = {
      method: request.method,
      path: url.pathname,
      query: url.search.slice(1),
      authorization,
      person: who((authorization ?? "").replace(/^Bearer /i, "")),
      body,
      status: null,
    };
    calls.push(call);
    if (calls.length > JOURNAL_MAX) calls.shift();

    const carryOut = () => answer(again(request, bytes));
    const failure = take(failures, request.method, url.pathname);
    const response = failure ? await fail(failure, carryOut) : await carryOut();
    call.status = response.status;
    return response;
  };
  return forget;

  async function control(method, url, body) {
    const handler = controls[`${method} ${url.pathname.slice("/_peers/".length)}`];
    if (!handler) return Response.json({ error: `no such control: ${method} ${url.pathname}` }, { status: 404 });
    return Response.json((await handler(body ? JSON.parse(body) : {})) ?? {});
  }
}

function again({ method, url, headers }, bytes) {
  const body = method === "GET" || method === "HEAD" ? undefined : bytes;
  return new Request(url, { method, headers, body });
}

function take(failures, method, path) {
  const found = failures.find((f) => f.path === path && (!f.method || f.method === method));
  if (found && --found.times <= 0) failures.splice(failures.indexOf(found), 1);
  return found;
}

async function fail({ status, headers, body, after, delay }, carryOut) {
  if (delay) await new Promise((done) => setTimeout(done, delay * 1000));
  if (!status) return carryOut();
  if (after) await carryOut();
  if (typeof body === "string") return new Response(body, { status, headers });
  return Response.json(body ?? {}, { status, headers });
}
