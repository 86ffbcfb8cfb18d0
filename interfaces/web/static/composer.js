// What the person writes: the field, the chosen files, and sending.

import * as live from "./live.js";
import * as log from "./log.js";
import { post, upload } from "./request.js";
import { keepingPlace, toEnd } from "./scroll.js";

const form = document.getElementById("form");
const text = document.getElementById("text");
const files = document.getElementById("files");
const list = document.getElementById("chosen");

let chosen = []; // the files of the next message
let changed = () => {}; // called after a message was sent, or not sent

function choose(selected) {
  chosen = selected;
  list.replaceChildren(...chosen.map((file) => {
    const item = document.createElement("li");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    remove.addEventListener("click", () => {
      choose(chosen.filter((other) => other !== file));
      text.focus();
    });
    item.append(file.name, remove);
    return item;
  }));
  list.hidden = !chosen.length;
}

// Upload the files and post the message. Throws an error with a sentence for the person.
async function deliver(key, written, attached) {
  const uploaded = await Promise.all(attached.map(upload));
  const response = await post("messages", { id: key, text: written, files: uploaded });
  if (!response?.ok) {
    throw new Error(response?.status < 500 ? "This message was refused." : "This message was not sent.");
  }
}

// Take a message that was not sent back into the field.
function edit(key, written, attached) {
  log.remove(key);
  text.value = [written, text.value].filter(Boolean).join("\n");
  choose([...attached, ...chosen]);
  text.focus();
}

// Send a message. One that is sent again keeps its key, so that the server accepts it once.
export async function say(written, attached = [], key = crypto.randomUUID()) {
  log.addOwn(key, [written, ...attached.map((file) => file.name)].filter(Boolean).join("\n"));
  live.waitForText();
  toEnd();
  try {
    await deliver(key, written, attached);
  } catch (error) {
    keepingPlace(() => {
      live.stopWaiting();
      log.fail(key, error.message, {
        "Try again": () => {
          text.focus();
          say(written, attached, key);
        },
        Edit: () => edit(key, written, attached),
      });
    });
  }
  changed();
}

// Begin to take what the person writes. `refresh` is called after a message was sent, or not sent.
export function start(refresh) {
  changed = refresh;
}

files.addEventListener("change", () => {
  choose([...chosen, ...files.files]);
  files.value = "";
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const written = text.value.trim();
  const attached = chosen;
  if (written || attached.length) {
    text.value = "";
    text.focus();
    choose([]);
    say(written, attached);
  }
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
