"""The pages that a person reads in the browser after a sign-in."""

import base64
from hashlib import sha256
from html import escape

from starlette.responses import HTMLResponse

from oauth.consent.hooks import ReturnLink
from oauth.consent.sign_in import Consent
from oauth.visible import visible

STYLE = """
:root { color-scheme: light dark; }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 10vh auto 2rem; padding: 0 1.5rem; }
strong { overflow-wrap: anywhere; }
.code { font: bold 2.2rem/1.5 ui-monospace, monospace; text-align: center; letter-spacing: 0.1em; user-select: all; }
.action {
  box-sizing: border-box; display: block; width: 100%; padding: 0.7rem 1rem; font: inherit; text-align: center;
  cursor: pointer; border: 2px solid #1f5fbf; border-radius: 0.6rem;
}
a.action { color: #fff; background: #1f5fbf; font-weight: bold; text-decoration: none; }
button.action { color: inherit; background: transparent; }
.action:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px; }
[hidden] { display: none; }
"""

# Copies the code, also when the person follows a link that does not bring it along. Browsers have a clipboard only for
# pages in a secure context: https://developer.mozilla.org/docs/Web/API/Clipboard/writeText
SCRIPT = """
const code = document.querySelector(".code").textContent;
const copied = document.getElementById("copied");
if (navigator.clipboard) {
  for (const action of document.querySelectorAll("[data-copies]")) {
    action.hidden = false;
    action.textContent = action.dataset.copies;
    action.addEventListener("click", () => {
      navigator.clipboard.writeText(code).then(
        () => { copied.textContent = "The code is copied."; },
        () => { copied.textContent = "The browser did not copy the code."; },
      );
    });
  }
}
"""


def _hash(text: str) -> str:
    """Return the source that allows exactly this script or style: https://www.w3.org/TR/CSP3/#grammardef-hash-source"""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


# The URLs of these pages contain secrets: browsers must neither store them nor pass them on.
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def consent_page(consent: Consent) -> HTMLResponse:
    """Return the page that follows a consent."""
    if consent.code is None:
        return _page(f"{consent.label} is connected", _connected(consent))
    return _page("One more step", _unconfirmed(consent, consent.code))


def denial_page(way_back: ReturnLink | None) -> HTMLResponse:
    """Return the page for a person who declined.

    Args:
        way_back: the link back to the chat, if there is one.
    """
    content = _paragraph("You can close this page and go back to the chat.")
    return _page("Nothing was connected", content + _way_back(way_back))


def error_page(sentence: str) -> HTMLResponse:
    """Return the page for a sign-in that failed."""
    return _page("That did not work", _paragraph(sentence), status=400)


def _connected(consent: Consent) -> str:
    return (
        f"<p>{_strong(consent.account)} is now connected to {_person(consent)} in the chat. The agent may:</p>"
        f"{_permissions(consent)}"
        "<p>You can go back to the chat: the agent is answering your message.</p>"
        f"{_way_back(consent.way_back)}"
    )


def _unconfirmed(consent: Consent, code: str) -> str:
    return (
        f"<p>You signed in to {escape(consent.label)} as {_strong(consent.account)}, to connect this account to "
        f"{_person(consent)}. When that person asks, the agent may then:</p>"
        f"{_permissions(consent)}"
        "<p>If that person is not you, close this page and do not give the code to anyone. Nothing will be "
        "connected.</p>"
        f"{_confirmation(consent.way_back)}"
        f'<p class="code">{code[:4]} {code[4:]}</p>'
        '<p><button type="button" class="action" data-copies="Copy the code" hidden></button></p>'
        '<p id="copied" role="status"></p>'
        "<p>The code is valid for ten minutes.</p>"
        f"<script>{SCRIPT}</script>"
    )


def _confirmation(way_back: ReturnLink | None) -> str:
    """Return what the person has to do with the code, which stands below."""
    typed = "send this code to the bot, in the chat where you got the link"
    if way_back is None:
        return f"<p>If it is you, {typed}:</p>"
    place, then = escape(way_back.place), escape(way_back.then)
    if way_back.brings_code:
        action = f'<a class="action" href="{escape(way_back.address)}">Confirm in {place}</a>'
        return f"<p>If it is you, confirm it in the chat. {then}</p><p>{action}</p><p>Or {typed}:</p>"
    # Opens another window, so that this page stays and has time to copy the code.
    copies = f'data-copies="Copy the code and open {place}" target="_blank" rel="noopener noreferrer"'
    action = f'<a class="action" href="{escape(way_back.address)}" {copies}>Open {place}</a>'
    return f"<p>If it is you, {typed}. {then}</p><p>{action}</p>"


def _way_back(way_back: ReturnLink | None) -> str:
    if way_back is None:
        return ""
    return f'<p><a class="action" href="{escape(way_back.address)}">Back to {escape(way_back.place)}</a></p>'


def _permissions(consent: Consent) -> str:
    return f"<ul>{''.join(f'<li>{escape(permission)}</li>' for permission in consent.permissions)}</ul>"


def _person(consent: Consent) -> str:
    identity = consent.identity
    known = f"{identity.channel} {identity.user_id}"
    return _strong(known if consent.name in ("", identity.user_id) else f"{consent.name} ({known})")


def _strong(text: str) -> str:
    """Return an untrusted text as HTML that can neither hide nor reorder the text around it."""
    return f"<strong><bdi>{escape(' '.join(visible(text).split()))}</bdi></strong>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _page(title: str, content: str, *, status: int = 200) -> HTMLResponse:
    page = PAGE.format(title=escape(title), style=STYLE, content=content)
    return HTMLResponse(page, status_code=status, headers=HEADERS)
