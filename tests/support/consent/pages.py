"""The pages of a consent: what a person does at the provider's, and what ours says afterwards."""

import re
from urllib.parse import parse_qs, urlsplit

from peers.emulate import browser
from peers.emulate.server import Emulate


def code_on(page: str) -> str:
    """The code that a person is to send in the chat."""
    found = re.search(r'<p class="code">(\d{4} \d{4})</p>', page)
    assert found is not None, page
    return found[1]


def authorization_code(emulate: Emulate, link: str, email: str, scope: str | None = None) -> str:
    """Consents, and stops before the gateway: what the browser would bring back to it."""
    with browser.browser() as client:
        client.follow_redirects = False
        answer = emulate.consent(link, email, scope, client)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
