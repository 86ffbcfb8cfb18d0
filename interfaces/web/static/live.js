// The preview of the running turn: the text so far, the tools and the phases. The answer in the log replaces it.
//
// A screen reader does not read it: the answer is read once, when it is complete.

import { showHtml } from "./html.js";

const live = document.getElementById("live");
const phases = []; // the running phases, the innermost last
const tools = new Map(); // the lines of running calls, by the ids of the calls
let writing = null; // the text that is being written

function add(element, className, content) {
  element.className = className;
  element.textContent = content;
  (phases.at(-1) ?? live).append(element);
  return element;
}

function endText() {
  if (writing?.textContent === "") {
    writing.remove();
  }
  writing?.classList.remove("writing");
  writing = null;
}

function beginPhase(label) {
  endText();
  const phase = add(document.createElement("details"), "phase", "");
  phase.open = true;
  phase.append(document.createElement("summary"));
  phase.firstChild.textContent = label;
  phases.push(phase);
}

function endPhase(label, elapsed) {
  const place = phases.findLastIndex((phase) => phase.firstChild.textContent === label);
  if (place >= 0) {
    endText();
    const [phase] = phases.splice(place, 1);
    phase.firstChild.textContent = `${label} (${(elapsed / 1000).toFixed(1)} s)`;
    phase.classList.add("ended");
    phase.open = false;
  }
}

function beginTool(id, label) {
  endText();
  tools.set(id, add(document.createElement("div"), "tool", label));
}

function endTool(id) {
  const line = tools.get(id);
  if (line) {
    line.classList.add("ended");
    line.prepend("✓ ");
    tools.delete(id);
    if (!tools.size) {
      waitForText();
    }
  }
}

// Show that an answer is on its way, before its text arrives.
export function waitForText() {
  writing ??= add(document.createElement("div"), "message agent-said writing", "");
}

// Show no longer that an answer is on its way.
export function stopWaiting() {
  if (writing?.textContent === "") {
    endText();
  }
}

// Show an update of the turn.
export function show(update) {
  if (update.type === "text") {
    waitForText();
    showHtml(writing, update.html);
  } else if (update.type === "tool") {
    beginTool(update.id, update.label);
  } else if (update.type === "tool_ended") {
    endTool(update.id);
  } else if (update.type === "phase") {
    beginPhase(update.label);
  } else if (update.type === "phase_ended") {
    endPhase(update.label, update.elapsed);
  }
}

// Return the elements that are shown now, for `remove`.
export function shown() {
  return [...live.children];
}

// Remove the elements of a turn that has ended.
export function remove(elements) {
  elements.forEach((element) => element.remove());
  if (!writing?.isConnected) {
    writing = null;
  }
  phases.splice(0, phases.length, ...phases.filter((phase) => phase.isConnected));
  tools.forEach((line, id) => line.isConnected || tools.delete(id));
}
