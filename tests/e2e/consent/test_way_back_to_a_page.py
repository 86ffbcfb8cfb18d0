"""The way back from a sign-in to a host application's page with ChatKit, with the script of docs/chatkit.md."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from peers.serving import ThreadServer
from peers.wait import wait_until
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pydantic_ai.models.function import FunctionModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from support.channels.chatkit import ChatKitPage, answers
from support.stage import Vault, obey

from gateway import Agent, Gateway
from interfaces.chatkit import ChatKit, Person
from oauth import Keyring

GUIDE = Path(__file__).parents[3] / "docs" / "chatkit.md"

# A replacement for ChatKit's component, which a page loads from OpenAI. It sends a message as the component does.
COMPONENT = """
const chatkit = {
  async sendUserMessage({ text }) {
    const input = { content: [{ type: "input_text", text }], attachments: [], inference_options: {} };
    const body = JSON.stringify({ type: "threads.create", params: { input } });
    const answer = await fetch("/chatkit", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    document.body.append(await answer.text());
  },
};
"""


async def by_cookie(request: Request) -> Person | None:
    user = request.cookies.get("user")
    return Person(user, user.capitalize()) if user else None


async def chat(_: Request) -> Response:
    (script,) = re.findall(r"```js\n(const code.*?)```", GUIDE.read_text(), re.DOTALL)
    return HTMLResponse(f"<!doctype html><title>Chat</title><body><script type=module>{COMPONENT}{script}</script>")


class Host:
    """A web application with the chat on one of its pages."""

    def __init__(self, directory: Path) -> None:
        app = Starlette(routes=[Route("/chat", chat)])
        self._server = ThreadServer(app)
        self.url = self._server.url
        self.gateway = Gateway(
            Agent(model=FunctionModel(obey), toolkits=[Vault()]),
            [ChatKit(by_cookie, page=f"{self.url}/chat")],
            f"sqlite:///{directory}/chatkit.db",
            base_url=self.url,
            secret_key=Keyring.generate(),
        )
        app.routes.append(Mount("/", self.gateway.asgi()))
        app.router.lifespan_context = self.gateway.lifespan

    def __enter__(self) -> "Host":
        self._server.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.stop()

    def chat_of(self, user: str) -> ChatKitPage:
        return ChatKitPage(httpx.Client(base_url=self.url, cookies={"user": user}, timeout=30, trust_env=False))

    def sign_in(self, context: BrowserContext, link: str, account: str) -> Page:
        """Open the page that follows a consent, in a browser."""
        request = httpx.get(link, trust_env=False).headers["location"]
        state = parse_qs(urlsplit(request).query)["state"][0]
        page = context.new_page()
        page.goto(f"{self.url}/oauth/fake/callback?state={state}&code=of-{account}")
        return page


def browser_of(chromium: Browser, host: Host, user: str) -> BrowserContext:
    context = chromium.new_context()
    context.add_cookies([{"name": "user", "value": user, "url": host.url}])
    return context


def test_the_page_of_the_host_application_confirms_in_the_session_of_whoever_opens_it(
    chromium: Browser, tmp_path: Path
) -> None:
    with Host(tmp_path) as host:
        alice = host.chat_of("alice")
        thread, events = alice.begin("call open_vault")
        link = answers(events)[0].partition("[Connect Fake](")[2].partition(")")[0]
        with browser_of(chromium, host, "bob") as his:  # Alice has forwarded her link to Bob
            page = host.sign_in(his, link, "bob")
            page.get_by_role("link", name="Confirm in the chat").click()
            expect(page.locator("body")).to_contain_text("You have no open sign-in for that code.")
            assert page.url == f"{host.url}/chat"
        assert alice.said(thread)[-1][1].startswith("To answer that")
        link = alice.said(thread)[-1][1].partition("[Connect Fake](")[2].partition(")")[0]
        with browser_of(chromium, host, "alice") as hers:
            page = host.sign_in(hers, link, "alice")
            page.get_by_role("link", name="Confirm in the chat").click()
            expect(page.locator("body")).to_contain_text(json.dumps("Your Fake account alice is connected.")[1:-1])
        wait_until(lambda: alice.said(thread)[-1][1] == "SECRET-alice", what="the message that waited is answered")
