// The entries of the transcript. Each is added once and changed in place, so that a screen reader reads only what is new.

import { showHtml } from "./html.js";
import { post } from "./request.js";

const log = document.getElementById("log");
const empty = document.getElementById("empty");
const thumbs = document.getElementById("thumbs");
const entries = new Map(); // the element and the data of each entry, by its key
const pending = new Set(); // the keys of entries that no transcript has had yet

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...content);
  return element;
}

function download(file) {
  const link = make("a", "file");
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

function signIn(entry) {
  const link = make("a", "", `Connect ${entry.label}`);
  link.href = `sign-in/${encodeURIComponent(entry.signIn)}`;
  link.target = "_blank";
  link.rel = "noopener";
  const after = ". After you sign in, the page may ask you to confirm here that it was you. Then I answer.";
  return ["To answer that, I need you to connect an account: ", link, after];
}

function showSaid(element, entry) {
  if (entry.from === "person") {
    element.textContent = [entry.text, ...entry.files].filter(Boolean).join("\n");
  } else if (entry.signIn) {
    element.replaceChildren(...signIn(entry));
  } else {
    showHtml(element, entry.html);
    element.append(...entry.files.map(download));
  }
}

// The choices of a question, or the decision. The focus stays in the question when the buttons are removed.
function choices(question, changed) {
  if (question.decided !== null) {
    const decided = make("p", "decided", question.decided);
    decided.tabIndex = -1;
    return [decided];
  }
  return question.choices.map((choice, place) => {
    const button = make("button", `choice ${choice.style}`, choice.label);
    button.type = "button";
    button.addEventListener("click", async () => {
      const response = await post("press", { question: question.id, choice: place });
      const said = response?.ok ? (await response.json()).text : "That was not sent. Please try again.";
      button.closest(".entry").querySelector(".outcome").textContent = said;
      changed();
    });
    return button;
  });
}

function thumbsOf(entry, changed) {
  const place = thumbs.content.firstElementChild.cloneNode(true);
  place.querySelectorAll("button").forEach((button) => {
    button.addEventListener("click", async () => {
      const takenBack = button.getAttribute("aria-pressed") === "true";
      await post("feedback", { reference: entry.rated, rating: button.dataset.rating, takenBack });
      changed();
    });
  });
  return place;
}

// Update the parts of an entry's element that have changed.
function update(element, entry, before, changed) {
  const differs = (name) => JSON.stringify(entry[name]) !== JSON.stringify(before?.[name]);
  if (["text", "html", "files", "signIn"].some(differs)) {
    showSaid(element.querySelector(".said"), entry);
  }
  if (entry.question && differs("question")) {
    const place = element.querySelector(".choices");
    const hadFocus = place.contains(document.activeElement);
    place.replaceChildren(...choices(entry.question, changed));
    if (hadFocus) {
      place.querySelector(".decided, button").focus();
    }
  }
  element.classList.toggle("failed", Boolean(entry.failed));
  element.querySelector(".failure")?.remove();
  element.querySelectorAll(".thumb").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.rating === entry.rating));
  });
}

function create(entry, changed) {
  const speaker = make("span", "hidden", entry.from === "person" ? "You said:" : "The agent said:");
  const element = make("div", "entry", speaker, make("div", `message ${entry.from}-said said`));
  if (entry.question) {
    const place = make("div", "choices");
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", "Choices");
    const outcome = make("p", "outcome");
    outcome.setAttribute("role", "alert");
    element.append(place, outcome);
  }
  if (entry.again) {
    element.append(make("button", "quiet again", "Try again"));
    element.lastChild.type = "button";
    element.lastChild.dataset.say = entry.again;
  }
  if (entry.rated) {
    element.append(thumbsOf(entry, changed));
  }
  return element;
}

// Show the entries of the transcript, in their order; return whether one of the new entries is an answer.
//
// `changed` is called when the person has pressed a button.
export function show(transcript, changed) {
  let last = null;
  let isAnswered = false;
  const texts = new Map(transcript.map((entry) => [entry.id, entry.files.length ? "" : entry.text]));
  for (const entry of transcript) {
    entry.again = entry.failed ? texts.get(entry.answers) : "";
    const key = entry.message ?? entry.id;
    const known = entries.get(key);
    const element = known?.element ?? create(entry, changed);
    update(element, entry, known?.entry, changed);
    pending.delete(key);
    if (!known) {
      last ? last.after(element) : log.insertBefore(element, firstPending());
      isAnswered ||= Boolean(entry.answers);
    }
    entries.set(key, { element, entry });
    last = element;
  }
  log.setAttribute("aria-busy", "false");
  showEmpty();
  return isAnswered;
}

// Show a message before the server has taken it. It becomes the entry with the same key.
export function addOwn(key, text) {
  remove(key); // it was not sent before
  const entry = { from: "person", text, files: [] };
  const element = create(entry);
  update(element, entry);
  log.append(element);
  entries.set(key, { element, entry });
  pending.add(key);
  showEmpty();
}

// Show that a message was not sent, and why. `actions` are functions by the labels of their buttons.
export function fail(key, reason, actions) {
  const buttons = Object.entries(actions).map(([label, action]) => {
    const button = make("button", "quiet", label);
    button.type = "button";
    button.addEventListener("click", action);
    return button;
  });
  const failure = make("div", "failure", make("span", "", reason), ...buttons);
  failure.setAttribute("role", "alert");
  const { element } = entries.get(key);
  element.classList.add("failed");
  element.append(failure);
}

// A message may be written before the first transcript is there, whose entries are older.
function firstPending() {
  const [key] = pending;
  return entries.get(key)?.element ?? null;
}

function showEmpty() {
  empty.hidden = entries.size > 0;
}

export function remove(key) {
  entries.get(key)?.element.remove();
  entries.delete(key);
  pending.delete(key);
  if (log.getAttribute("aria-busy") === "false") { // otherwise, there may be a transcript
    showEmpty();
  }
}
