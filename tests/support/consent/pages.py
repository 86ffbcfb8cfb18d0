"""Read the gateway's page that follows a consent, and consent without that page."""

import re
from urllib.parse import parse_qs, urlsplit

from peers.emulate import browser
from peers.emulate.server import Emulate


def code_on(page: str) -> str:
    """Return the code on the page, which the person has to send in the chat."""
    found = re.search(r'<p class="code">(\d{4} \d{4})</p>', page)
    assert found is not None, page
    return found[1]


def authorization_code(emulate: Emulate, link: str, email: str, scope: str | None = None) -> str:
    """Consent, and return the authorization code with which the provider redirects to the gateway. Do not follow it."""
    with browser.browser() as client:
        client.follow_redirects = False
        answer = emulate.consent(link, email, scope, client)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
