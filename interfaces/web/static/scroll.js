// The scroll position of the conversation: a reader at the end stays there, one who scrolled up stays where they are.

const NEAR = 8; // pixels from the end that still count as the end

const scroll = document.getElementById("scroll");
const latest = document.getElementById("latest");

let wasAtEnd = true; // at the sizes that were noted last
let height = 0; // of all messages
let visible = 0; // the height of those that the window shows

function isAtEnd() {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight <= NEAR;
}

// Sizes change before they are noted. Until then, a reader who was at the end seems to have scrolled up.
function areSizesNoted() {
  return height === scroll.scrollHeight && visible === scroll.clientHeight;
}

function note() {
  wasAtEnd = isAtEnd();
  height = scroll.scrollHeight;
  visible = scroll.clientHeight;
  if (wasAtEnd && document.activeElement === latest) {
    scroll.focus();
  }
  latest.hidden = wasAtEnd;
}

export function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  note();
}

// Change what is shown.
export function keepingPlace(change) {
  const stays = areSizesNoted() ? isAtEnd() : wasAtEnd;
  change();
  if (stays) {
    toEnd();
  } else {
    note();
  }
}

// Pictures that have loaded, a field that grows and a keyboard on the screen change sizes, too.
const sizes = new ResizeObserver(() => wasAtEnd ? toEnd() : note());
[scroll, ...scroll.children].forEach((element) => sizes.observe(element));

scroll.addEventListener("scroll", () => {
  if (areSizesNoted()) { // otherwise, they are noted next
    note();
  }
});
latest.addEventListener("click", toEnd);
