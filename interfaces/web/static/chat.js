"use strict";

const messages = document.getElementById("messages");
const form = document.getElementById("form");
const text = document.getElementById("text");
const files = document.getElementById("files");
const attach = document.getElementById("attach");
const state = document.getElementById("state");
let writing = null; // the answer that is being written, not yet in the transcript

const phases = []; // those that run, the innermost last

function add(className, content) {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = content;
  (phases.at(-1) ?? messages).append(element);
  messages.scrollTop = messages.scrollHeight;
  return element;
}

function show(entry) {
  if (entry.from === "person") {
    add("message person-said", [entry.text, ...entry.files].filter(Boolean).join("\n"));
    return;
  }
  const element = add("message agent-said", "");
  if (entry.signIn) {
    const link = document.createElement("a");
    link.href = `sign-in/${encodeURIComponent(entry.signIn)}`;
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = `Connect ${entry.label}`;
    element.append("To answer that, I need an account of yours: ", link);
    element.append(". After you sign in, the page may ask you to confirm here that it was you. Then I answer.");
  } else {
    element.innerHTML = entry.html; // made by the server from markdown, in which HTML is text
    entry.files.forEach((file) => element.append(download(file)));
  }
}

function download(file) {
  const link = document.createElement("a");
  link.className = "file";
  link.href = file.address;
  link.download = file.name;
  if (/^image\/(png|jpeg|gif|webp)$/.test(file.type)) {
    const image = document.createElement("img");
    image.src = file.address;
    image.alt = file.name;
    link.append(image);
  } else {
    link.textContent = file.name;
  }
  return link;
}

// A server that was started anew signs anew: the page, asked for again, brings the cookie that it takes.
async function request(path, options) {
  const response = await fetch(path, options);
  if (response.status !== 401) {
    return response;
  }
  await fetch("./");
  return fetch(path, options);
}

async function refresh() {
  const response = await request("transcript");
  if (!response.ok) {
    return;
  }
  const entries = await response.json();
  messages.replaceChildren();
  phases.length = 0;
  writing = null;
  entries.forEach(show);
  messages.scrollTop = messages.scrollHeight;
}

function beginPhase(label) {
  const phase = document.createElement("details");
  phase.className = "phase";
  phase.open = true;
  phase.append(document.createElement("summary"));
  phase.firstChild.textContent = label;
  (phases.at(-1) ?? messages).append(phase);
  phases.push(phase);
  writing = null;
}

function endPhase(label, elapsed) {
  const place = phases.findLastIndex((phase) => phase.firstChild.textContent === label);
  if (place >= 0) {
    const [phase] = phases.splice(place, 1);
    phase.firstChild.textContent = `${label} (${(elapsed / 1000).toFixed(1)} s)`;
    phase.open = false;
    writing = null;
  }
}

function write(delta) {
  writing ??= add("message agent-said writing", "");
  writing.textContent += delta;
  messages.scrollTop = messages.scrollHeight;
}

function listen() {
  const updates = new EventSource("updates");
  updates.onopen = () => { state.textContent = "connected"; };
  updates.onmessage = (event) => {
    const update = JSON.parse(event.data);
    if (update.type === "delta") {
      write(update.text);
    } else if (update.type === "tool") {
      writing = null;
      add("tool", update.label);
    } else if (update.type === "phase") {
      beginPhase(update.label);
    } else if (update.type === "phase_ended") {
      endPhase(update.label, update.elapsed);
    } else {
      refresh();
    }
  };
  updates.onerror = () => {
    state.textContent = "connecting…";
    if (updates.readyState === EventSource.CLOSED) { // refused, not interrupted
      setTimeout(() => fetch("./").catch(() => null).then(listen), 1000);
    }
  };
}

// Returns the id of an uploaded file; null if it was not taken.
async function upload(file) {
  const options = { method: "POST", headers: { "Content-Type": file.type }, body: file };
  const response = await request(`files?name=${encodeURIComponent(file.name)}`, options).catch(() => null);
  return response?.ok ? (await response.json()).id : null;
}

function showChosen() {
  const names = [...files.files].map((file) => file.name);
  attach.textContent = names.join(", ") || "Attach";
}

files.addEventListener("change", showChosen);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const written = text.value.trim();
  const chosen = [...files.files];
  if (!written && !chosen.length) {
    return;
  }
  text.value = "";
  writing = null;
  add("message person-said", [written, ...chosen.map((file) => file.name)].filter(Boolean).join("\n"));
  const uploaded = await Promise.all(chosen.map(upload));
  const refused = chosen.filter((_, place) => uploaded[place] === null);
  const sent = refused.length === 0 && await request("messages", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ id: crypto.randomUUID(), text: written, files: uploaded }),
  }).then((response) => response.ok, () => false);
  if (sent) {
    files.value = "";
    showChosen();
  } else {
    add("tool", refused.length
      ? `${refused.map((file) => file.name).join(", ")} could not be uploaded: too large, or the connection broke.`
      : "That was not sent. Please try again.");
    text.value = written;
  }
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// The button of the sign-in page leads here with the code, which is good once.
function confirm() {
  const code = /^#confirm=(\d{8})$/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(null, "", location.pathname);
    text.value = `Confirm ${code.slice(0, 4)} ${code.slice(4)}`;
    form.requestSubmit();
  }
}

window.addEventListener("hashchange", confirm);
confirm();
listen();
