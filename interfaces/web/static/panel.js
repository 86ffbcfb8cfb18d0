// The panel beside the chat: what each turn did, for the developers of the agent. Only `understudy dev` has it.

import { request } from "./request.js";

const NEAR = 8; // pixels from the end that still count as the end

const turns = new Map(); // the element and the steps of each turn, by its reference
const shown = new Map(); // the element of each step, by its id
const list = make("div", "turns");
const toggle = make("button", "toggle", "Steps");
const panel = make("aside", "", toggle, list);

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...content);
  return element;
}

function took(step) {
  const parts = [step.outcome || "running"];
  if (step.seconds !== null) {
    parts.push(`${step.seconds.toFixed(1)} s`);
  }
  if (step.tokens) {
    parts.push(`${step.tokens} tokens`);
  }
  return parts.join(" · ");
}

function turnOf(reference) {
  if (!turns.has(reference)) {
    const element = make("div", "turn");
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", `Turn ${reference}`);
    element.append("Turn ", make("code", "", reference));
    list.append(element);
    turns.set(reference, element);
    nothing.remove();
  }
  return turns.get(reference);
}

// Show a step, or what has changed in it. Texts stay texts: what a tool returns is never HTML here.
function show(step) {
  let element = shown.get(step.id);
  if (!element) {
    element = make("div", "step");
    element.dataset.kind = step.kind;
    element.style.setProperty("--depth", step.depth);
    turnOf(step.turn).append(element);
    shown.set(step.id, element);
  }
  const wasOpen = element.querySelector("details")?.open;
  const line = [make("span", "kind", step.kind), " ", make("span", "label", step.label)];
  if (step.kind !== "wait" && step.kind !== "error") {
    line.push(" ", make("span", "took", took(step)));
  }
  element.dataset.outcome = step.outcome;
  const texts = [step.given && make("pre", "given", step.given), step.returned && make("pre", "returned", step.returned)];
  const content = texts.filter(Boolean);
  if (content.length) {
    content.forEach((text) => (text.tabIndex = 0)); // a keyboard can scroll it
    const details = make("details", "", make("summary", "", ...line), ...content);
    details.open = wasOpen ?? step.kind === "error";
    element.replaceChildren(details);
  } else {
    element.replaceChildren(...line);
  }
}

// Change what is shown. A reader at the end stays there.
function keepingPlace(change) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight <= NEAR;
  change();
  if (isAtEnd) {
    list.scrollTop = list.scrollHeight;
  }
}

// Show that steps were interrupted by a restart: they had not ended, and the gateway no longer knows them.
function interrupt(before, known) {
  before.forEach((id) => {
    const element = shown.get(id);
    if (!known.has(id) && element.dataset.outcome === "") {
      element.dataset.outcome = "interrupted";
      element.querySelector(".took").textContent = "interrupted";
    }
  });
}

// Read all steps: an update may get lost, and there are none while the gateway starts again.
async function refresh() {
  const before = [...shown.keys()]; // later ones may be newer than the response
  const response = await request("steps").catch(() => null);
  if (response?.ok) {
    const steps = await response.json();
    keepingPlace(() => {
      steps.forEach(show);
      interrupt(before, new Set(steps.map((step) => step.id)));
    });
  }
}

function setOpen(open) {
  document.body.classList.toggle("with-panel", open);
  toggle.setAttribute("aria-expanded", String(open));
}

const nothing = make("p", "nothing", "What each message does is listed here: requests to models, calls of tools, phases.");
list.append(nothing);
list.id = "steps";
list.tabIndex = 0; // so that a keyboard can scroll it
list.setAttribute("role", "group");
list.setAttribute("aria-label", "Steps");
toggle.type = "button";
toggle.setAttribute("aria-controls", list.id);
toggle.addEventListener("click", () => {
  const open = !document.body.classList.contains("with-panel");
  setOpen(open);
  localStorage.setItem("understudy-panel", open ? "open" : "closed");
});
panel.id = "panel";
panel.setAttribute("aria-label", "Steps of the turns");
document.body.append(panel);
const isWide = matchMedia("(min-width: 64rem)").matches;
setOpen(isWide && localStorage.getItem("understudy-panel") !== "closed");

document.addEventListener("understudy-update", ({ detail: update }) => {
  if (update.type === "step") {
    keepingPlace(() => show(update.step));
  } else if (update.type === "changed") {
    refresh();
  }
});
refresh();
