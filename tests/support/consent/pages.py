"""Read the gateway's page that follows a consent, and consent without that page."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import httpx
from peers.emulate import browser
from peers.emulate.server import Emulate


def code_on(page: str) -> str:
    """Return the code on the page, which the person has to send in the chat."""
    found = re.search(r'<p class="code">(\d{4} \d{4})</p>', page)
    assert found is not None, page
    return found[1]


def way_back_on(page: str) -> str:
    """Return the address of the page's button that leads back to the chat."""
    found = re.search(r'<a class="action" href="([^"]+)"', page)
    assert found is not None, page
    return html.unescape(found[1])


def authorization_url(link: str) -> str:
    """Return the address of the provider's page to which a sign-in link leads."""
    answer = httpx.get(link, trust_env=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def state_of(link: str) -> str:
    """Return the state of the authorization request to which a sign-in link leads."""
    return parse_qs(urlsplit(authorization_url(link)).query)["state"][0]


def authorization_code(emulate: Emulate, link: str, email: str, scope: str | None = None) -> str:
    """Consent, and return the code in the provider's redirect to the gateway, without following the redirect.

    Args:
        link: the address of the provider's page.
    """
    with browser.browser() as client:
        client.follow_redirects = False
        answer = emulate.consent(link, email, scope, client)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
