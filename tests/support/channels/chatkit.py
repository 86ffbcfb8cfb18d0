"""Helpers for tests of the ChatKit channel. The types of the ChatKit SDK check every event."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from chatkit.types import Page, ThreadItem, ThreadStreamEvent
from peers.serving import ThreadServer
from pydantic import TypeAdapter
from pydantic_ai.models.function import FunctionModel
from starlette.applications import Starlette
from starlette.requests import Request

from gateway import Agent, Gateway
from interfaces.chatkit import ChatKit, Person
from oauth import Keyring
from support.stage import obey

EVENT: TypeAdapter[Any] = TypeAdapter(ThreadStreamEvent)
ITEMS: TypeAdapter[Any] = TypeAdapter(Page[ThreadItem])


async def by_header(request: Request) -> Person | None:
    """Return the person of a request, as a host application does from its own session. Here a header names them."""
    user_id, _, tenant = request.headers.get("authorization", "").partition("@")
    return Person(user_id, user_id.capitalize(), tenant or "app") if user_id else None


@dataclass
class ChatKitPage:
    """The page of a person in which ChatKit runs."""

    client: httpx.Client

    def request(self, kind: str, /, **params: Any) -> httpx.Response:
        return self.client.post("/chatkit", json={"type": kind, "params": params})

    def events(self, kind: str, **params: Any) -> Iterator[Any]:
        with self.client.stream("POST", "/chatkit", json={"type": kind, "params": params}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield EVENT.validate_json(line.removeprefix("data: "))

    def begin(self, text: str) -> tuple[str, list[Any]]:
        """Begin a thread with a message, and return the thread's id and the events that follow."""
        first, *rest = self.events("threads.create", input=written(text))
        assert first.type == "thread.created"
        return first.thread.id, rest

    def write(self, thread_id: str, text: str) -> list[Any]:
        return list(self.events("threads.add_user_message", thread_id=thread_id, input=written(text)))

    def items(self, thread_id: str, **params: Any) -> Any:
        found = self.request("items.list", thread_id=thread_id, **params)
        return ITEMS.validate_json(found.content)

    def said(self, thread_id: str) -> list[tuple[str, str]]:
        items = self.items(thread_id, order="asc", limit=100).data
        return [(item.type.partition("_")[0], text_of(item)) for item in items]

    def press(self, thread_id: str, item: Any, label: str) -> list[Any]:
        """Press a button of a widget, and return the events that follow."""
        (button,) = [each for each in buttons(item) if each.label == label]
        action = button.onClickAction.model_dump(include={"type", "payload"})
        return list(self.events("threads.custom_action", thread_id=thread_id, item_id=item.id, action=action))


def written(text: str, **fields: Any) -> dict[str, Any]:
    return {"content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}, **fields}


def answers(events: list[Any]) -> list[str]:
    done = [event.item for event in events if event.type == "thread.item.done"]
    return [text_of(item) for item in done if item.type in ("assistant_message", "widget")]


def text_of(item: Any) -> str:
    return str(item.copy_text if item.type == "widget" else item.content[0].text)


def buttons(item: Any) -> list[Any]:
    return [button for part in item.widget.children if part.type == "Row" for button in part.children]


def opened(url: str, person: str) -> ChatKitPage:
    return ChatKitPage(httpx.Client(base_url=url, headers={"authorization": person}, timeout=30))


@contextmanager
def serving(
    agent: Any,
    directory: Path,
    database: str | None = None,
    page: str | None = None,
    access: str = "open",
    **given: Any,
) -> Iterator[Callable[[str], ChatKitPage]]:
    """Serve ChatKit (on PostgreSQL with a worker), and yield a function that opens the page of a person.

    Args:
        page: the address of the host application's page.
        access: whom the agent answers.
        given: more arguments of `Gateway`.
    """
    database = database or f"sqlite:///{directory}/chatkit.db"
    options = {"base_url": "https://bot.test", "secret_key": Keyring.generate(), **given}
    gateway = Gateway(agent, [ChatKit(by_header, page, access=access)], database, **options)
    with ExitStack() as stack:
        if gateway.needs_workers:
            worker = Gateway(agent, [ChatKit(by_header, page)], database, **options)
            stack.enter_context(ThreadServer(Starlette(lifespan=lambda _: worker.worker())))
        server = stack.enter_context(ThreadServer(gateway.asgi()))
        yield lambda person: opened(server.url, person)


@pytest.fixture
def heard() -> Agent:
    return Agent(model=FunctionModel(obey), name="listener")
