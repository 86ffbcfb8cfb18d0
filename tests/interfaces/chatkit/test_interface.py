"""Requests to ChatKit: whose requests are accepted, and which ones are malformed."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from peers.serving import ThreadServer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from support.channels.chatkit import ChatKitPage, answers, serving, written

from gateway import Agent, Gateway, SettingError
from interfaces.chatkit import ChatKit, Person


def test_strangers_and_malformed_requests_are_refused(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice, nobody = page("alice"), page("")
        assert nobody.request("threads.list").status_code == 401
        for body in (b"", b"[]", b"{}", b'{"type": []}', b'{"type": "threads.create"}'):
            answer = alice.client.post("/chatkit", content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 400, body
        for kind in ("attachments.create", "input.transcribe", "threads.custom_action", "items.feedback"):
            assert alice.request(kind).status_code == 400
        # Requests that a page of another site can make its visitor's browser send.
        forged = json.dumps({"type": "threads.create", "params": {"input": written("pay")}})
        assert alice.client.post("/chatkit", content=forged, headers={"content-type": "text/plain"}).status_code == 415
        with sqlite3.connect(tmp_path / "chatkit.db") as database:
            assert database.execute("SELECT count(*) FROM inbox").fetchone() == (0,)


def test_a_host_application_names_its_people_by_its_own_session(heard: Agent, tmp_path: Path) -> None:
    async def by_session(request: Request) -> Person | None:
        user = request.session.get("user")
        return Person(user) if user else None

    async def sign_in(request: Request) -> Response:
        request.session["user"] = "alice"
        return Response()

    gateway = Gateway(heard, [ChatKit(by_session)], f"sqlite:///{tmp_path}/chatkit.db")
    app = Starlette(
        routes=[Route("/in", sign_in), Mount("/", gateway.asgi())],
        middleware=[Middleware(SessionMiddleware, secret_key="a key")],
        lifespan=gateway.lifespan,
    )
    with ThreadServer(app) as server:
        page = ChatKitPage(httpx.Client(base_url=server.url))
        assert page.request("threads.list").status_code == 401
        page.client.get("/in")
        assert answers(page.begin("hello")[1]) == ["heard: hello"]


@pytest.mark.parametrize("page", ["app.example.com/chat", "javascript:alert(1)", "https://app.example.com/#/chat"])
def test_an_address_that_is_not_of_a_page_is_refused(page: str) -> None:
    async def nobody(_: Request) -> Person | None:
        return None

    with pytest.raises(SettingError, match="is not the address of a page"):
        ChatKit(nobody, page)


@pytest.mark.parametrize(
    ("authenticate", "reason"),
    [
        (None, "is not an async function"),
        (len, "is not an async function"),
        ("nowhere:at_all", "No module named"),
        ("json:nothing", "has no attribute"),
    ],
)
def test_an_authenticate_that_is_not_an_async_function_is_refused(authenticate: Any, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        ChatKit(authenticate)
