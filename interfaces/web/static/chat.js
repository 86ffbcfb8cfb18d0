// The window of a person: it shows updates, and sends what the person writes and presses.

import * as live from "./live.js";
import * as log from "./log.js";
import { post, request, upload } from "./request.js";
import { keepingPlace, toEnd } from "./scroll.js";

const POLL = 3000; // milliseconds between two reads of the transcript while a turn runs, as an update may get lost

const form = document.getElementById("form");
const text = document.getElementById("text");
const files = document.getElementById("files");
const attach = document.getElementById("attach");
const state = document.getElementById("state");
const stop = document.getElementById("stop");

let isConnected = false;
let isRunning = false;
let polling = null;
let refreshing = null; // the promise of the running refresh
let isStale = false; // whether something changed since it began

function showState() {
  const words = isRunning ? "answering…" : "connected";
  state.textContent = isConnected ? words : "connecting…";
  if (!isRunning && document.activeElement === stop) {
    text.focus();
  }
  stop.hidden = !isRunning;
}

function setRunning(running) {
  isRunning = running;
  clearInterval(polling);
  polling = running ? setInterval(refresh, POLL) : null;
  if (running && !live.shown().length) {
    live.waitForText();
  }
  showState();
}

async function readTranscript() {
  const before = live.shown(); // later elements may show a turn that this transcript does not have yet
  const response = await request("transcript").catch(() => null);
  if (!response?.ok) {
    return;
  }
  const transcript = await response.json();
  keepingPlace(() => {
    const running = response.headers.get("Understudy-Running") === "true";
    if (log.show(transcript, refresh) || !running) {
      live.remove(before);
    }
    setRunning(running);
  });
}

function refresh() {
  isStale = true;
  refreshing ??= (async () => {
    while (isStale) {
      isStale = false;
      await readTranscript();
    }
    refreshing = null;
  })();
  return refreshing;
}

function listen() {
  const updates = new EventSource("updates");
  updates.onopen = () => {
    isConnected = true;
    showState();
  };
  updates.onmessage = (event) => {
    const update = JSON.parse(event.data);
    document.dispatchEvent(new CustomEvent("understudy-update", { detail: update })); // for panel.js
    if (update.type === "changed") {
      refresh();
    } else {
      keepingPlace(() => live.show(update));
    }
  };
  updates.onerror = () => {
    isConnected = false;
    showState();
    if (updates.readyState === EventSource.CLOSED) { // refused, as the server has been restarted
      keepingPlace(() => live.remove(live.shown())); // the turn begins anew
      setTimeout(() => fetch("./").catch(() => null).then(listen), 1000);
    }
  };
}

function showChosen() {
  const names = [...files.files].map((file) => file.name);
  attach.textContent = names.join(", ") || "Attach";
}

// Returns why a message was not sent; null if it was.
async function send(key, written, chosen) {
  const uploaded = await Promise.all(chosen.map(upload));
  const refused = chosen.filter((_, place) => uploaded[place] === null).map((file) => file.name);
  if (refused.length) {
    return `${refused.join(", ")} could not be uploaded: too large, or the connection broke.`;
  }
  const response = await post("messages", { id: key, text: written, files: uploaded });
  return response?.ok ? null : "That was not sent. Please try again.";
}

files.addEventListener("change", showChosen);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const written = text.value.trim();
  const chosen = [...files.files];
  if (!written && !chosen.length) {
    return;
  }
  const key = crypto.randomUUID();
  text.value = "";
  log.addOwn(key, [written, ...chosen.map((file) => file.name)].filter(Boolean).join("\n"));
  live.waitForText();
  toEnd();
  const failure = await send(key, written, chosen);
  if (failure === null) {
    files.value = "";
    showChosen();
  } else {
    log.remove(key);
    keepingPlace(() => log.note(failure));
    text.value = written;
  }
  refresh();
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

async function stopTurn() {
  await post("stop", {});
  refresh();
}

stop.addEventListener("click", stopTurn);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing && isRunning) {
    stopTurn();
  }
});

// The button of the sign-in page leads here with the code, which works once.
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
