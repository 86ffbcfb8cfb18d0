// Slack refuses messages whose blocks are not as documented, with `invalid_blocks`; emulate takes any. The limits are
// those of https://docs.slack.dev/reference/block-kit/blocks/section-block, …/actions-block and …/context-actions-block,
// and of https://docs.slack.dev/reference/block-kit/block-elements/button-element, …/select-menu-element and
// …/feedback-buttons-element.

const METHODS = ["chat.postMessage", "chat.update", "chat.postEphemeral"];

// Returns the refusal of a request, or nothing if the request has no blocks or valid ones.
export async function blocksRefused(request) {
  if (!METHODS.includes(new URL(request.url).pathname.replace("/api/", ""))) return undefined;
  const body = await request.text();
  const isJson = (request.headers.get("content-type") ?? "").includes("application/json");
  const given = isJson ? JSON.parse(body).blocks : new URLSearchParams(body).get("blocks");
  const blocks = typeof given === "string" ? JSON.parse(given) : given;
  if (!blocks) return undefined;
  const ids = blocks.flatMap(({ elements = [] }) => elements.map(({ action_id }) => action_id));
  if (blocks.length <= 50 && blocks.every(isBlock) && new Set(ids).size === ids.length) return undefined;
  return Response.json({ ok: false, error: "invalid_blocks" });
}

const isText = (value, most) => typeof value === "string" && value.length >= 1 && value.length <= most;
const isPlain = (value, most) => value?.type === "plain_text" && isText(value.text, most);

function isBlock({ type, text, elements }) {
  if (type === "section") return ["mrkdwn", "plain_text"].includes(text?.type) && isText(text.text, 3000);
  if (type === "actions") return elements?.length >= 1 && elements.length <= 25 && elements.every(isElement);
  if (type === "context_actions") return elements?.length >= 1 && elements.length <= 5 && elements.every(isElement);
  return true; // blocks that no test sends
}

function isElement(element) {
  const { type, action_id, text, value, url, style, options, placeholder, positive_button, negative_button } = element;
  if (!isText(action_id, 255)) return false;
  if (type === "button") {
    const rest = (value === undefined || isText(value, 2000)) && (url === undefined || isText(url, 3000));
    return isPlain(text, 75) && rest && [undefined, "primary", "danger"].includes(style);
  }
  if (type === "feedback_buttons") {
    return [positive_button, negative_button].every((each) => isPlain(each?.text, 75) && isText(each.value, 2000));
  }
  if (type === "static_select") {
    const isOption = (option) => isPlain(option.text, 75) && isText(option.value, 150);
    return isPlain(placeholder, 150) && options?.length >= 1 && options.length <= 100 && options.every(isOption);
  }
  return true;
}
