"""Consent and refuse at a consent page as a person in a browser does, with httpx and an HTML parser."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import httpx

MAX_REDIRECTS = 20
TIMEOUT = 30.0  # seconds


@dataclass
class Form:
    """A form of a page.

    Attributes:
        action: the address to which the form is sent.
        fields: the inputs of the form.
        text: the text inside the form, such as the label of its button.
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""


def browser() -> httpx.Client:
    """Return a client that follows redirects and keeps cookies. Close it after use."""
    return httpx.Client(follow_redirects=True, max_redirects=MAX_REDIRECTS, timeout=TIMEOUT, trust_env=False)


def consent(url: str, email: str, scope: str | None = None, client: httpx.Client | None = None) -> httpx.Response:
    """Open a URL, press the button of an account on the consent page to which it leads, and follow the redirects.

    Args:
        url: the consent page, or a link that redirects to it.
        email: the account.
        scope: the scopes that the person grants, separated by spaces, if not all. Google's page lets people choose.
        client: the browser; a new one if there is none.

    Raises:
        AssertionError: the page at the end of the redirects has no button for this account.
    """
    with _visitor(client) as visitor:
        page, form = _find_form(visitor, url, email)
        fields = form.fields if scope is None else {**form.fields, "scope": scope}
        return visitor.post(page.url.join(form.action), data=fields)


def deny(url: str, client: httpx.Client | None = None) -> httpx.Response:
    """Open a URL, and refuse on the consent page to which it leads.

    The page of `emulate` has no button for that. Therefore this function itself goes back to the redirect URI, as the
    platforms document: with `error=access_denied` and the state, and without a code.
    https://developers.google.com/identity/protocols/oauth2/web-server#handlingresponse
    """
    with _visitor(client) as visitor:
        _, form = _find_form(visitor, url, "")
        back = form.fields["redirect_uri"]
        query = urlencode({"error": "access_denied", "state": form.fields["state"]})
        return visitor.get(f"{back}{'&' if urlsplit(back).query else '?'}{query}")


def _visitor(client: httpx.Client | None) -> AbstractContextManager[httpx.Client]:
    return nullcontext(client) if client else browser()


def _find_form(visitor: httpx.Client, url: str, email: str) -> tuple[httpx.Response, Form]:
    page = visitor.get(url)
    parser = _Forms()
    parser.feed(page.text)
    for form in parser.forms:
        if not email or email in form.text.split():
            return page, form
    raise AssertionError(
        f"no consent button for {email or 'any account'} at {page.url} ({page.status_code}):\n{page.text[-800:]}"
    )


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", "")))
            self._inside = True
        elif tag == "input" and self._inside:
            self.forms[-1].fields[values.get("name", "")] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.forms[-1].text += f" {data}"
