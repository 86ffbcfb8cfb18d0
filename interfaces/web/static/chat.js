// The window of a person: it shows updates, and sends what the person writes and presses.

import * as composer from "./composer.js";
import "./copy.js";
import * as live from "./live.js";
import * as log from "./log.js";
import { post, request } from "./request.js";
import { keepingPlace } from "./scroll.js";

const POLL = 3000; // milliseconds between two reads of the transcript while a turn runs, as an update may get lost

const text = document.getElementById("text");
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
  state.className = isConnected ? words.replace("…", "") : "connecting";
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

// Suggestions, and messages that could not be answered.
document.addEventListener("click", (event) => {
  const said = event.target.closest("[data-say]")?.dataset.say;
  if (said) {
    text.focus();
    composer.say(said);
  }
});

// The button of the sign-in page leads here with the code, which works once.
function confirm() {
  const code = /^#confirm=(\d{8})$/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(null, "", location.pathname);
    composer.say(`Confirm ${code.slice(0, 4)} ${code.slice(4)}`);
  }
}

window.addEventListener("hashchange", confirm);
composer.start(refresh);
confirm();
listen();
