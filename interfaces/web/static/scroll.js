// The scroll position of the conversation.

const NEAR = 8; // pixels from the end that still count as the end

const scroll = document.getElementById("scroll");

export function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
}

// Change what is shown. A reader at the end stays there; one who scrolled up stays where they are.
export function keepingPlace(change) {
  const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight <= NEAR;
  change();
  if (isAtEnd) {
    toEnd();
  }
}
