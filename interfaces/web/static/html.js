// HTML that the server has made from markdown, in which HTML is text.

// Show HTML in an element. Blocks that have not changed stay, and with them what a reader has selected or scrolled.
export function showHtml(element, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const blocks = [...template.content.childNodes];
  blocks.forEach((block, place) => {
    const before = element.childNodes[place];
    if (!before) {
      element.append(block);
    } else if (!before.isEqualNode(block)) {
      before.replaceWith(block);
    }
  });
  [...element.childNodes].slice(blocks.length).forEach((node) => node.remove());
}
