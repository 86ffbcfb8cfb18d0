"""ChatKit: each person's threads, what is told while a turn runs, and what stays. Events are read as ChatKit's own."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from chatkit.types import Page, Thread, ThreadItem, ThreadStreamEvent
from consent_page import code_on
from peers.serving import ThreadServer
from peers.wait import wait_until
from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from stage import Orders, Vault, obey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from gateway import Agent, Gateway, Message, SettingError, phase
from interfaces.chatkit import ChatKit, Person
from oauth import Keyring
from toolkits import Toolkit, tool

EVENT: TypeAdapter[Any] = TypeAdapter(ThreadStreamEvent)
ITEMS: TypeAdapter[Any] = TypeAdapter(Page[ThreadItem])


async def by_header(request: Request) -> Person | None:
    """What a host application has: a session of its own."""
    user_id, _, tenant = request.headers.get("authorization", "").partition("@")
    return Person(user_id, user_id.capitalize(), tenant or "app") if user_id else None


@dataclass
class ChatKitPage:
    """ChatKit in somebody's page."""

    client: httpx.Client

    def request(self, kind: str, **params: Any) -> httpx.Response:
        return self.client.post("/chatkit", json={"type": kind, "params": params})

    def events(self, kind: str, **params: Any) -> Iterator[Any]:
        with self.client.stream("POST", "/chatkit", json={"type": kind, "params": params}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield EVENT.validate_json(line.removeprefix("data: "))

    def begin(self, text: str) -> tuple[str, list[Any]]:
        """A new thread: its id, and what was told after that."""
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
        return [(item.type.partition("_")[0], item.content[0].text) for item in items]


def written(text: str, **fields: Any) -> dict[str, Any]:
    return {"content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}, **fields}


def answers(events: list[Any]) -> list[str]:
    done = [event.item for event in events if event.type == "thread.item.done"]
    return [item.content[0].text for item in done if item.type == "assistant_message"]


def opened(url: str, person: str) -> ChatKitPage:
    return ChatKitPage(httpx.Client(base_url=url, headers={"authorization": person}, timeout=30))


@contextmanager
def serving(agent: Any, directory: Path, database: str | None = None) -> Iterator[Callable[[str], ChatKitPage]]:
    """Serves ChatKit, on PostgreSQL with a worker beside it; gives what opens somebody's page."""
    database = database or f"sqlite:///{directory}/chatkit.db"
    options = {"base_url": "https://bot.test", "secret_key": Keyring.generate()}
    gateway = Gateway(agent, [ChatKit(by_header)], database, **options)
    with ExitStack() as stack:
        if gateway.needs_workers:
            worker = Gateway(agent, [ChatKit(by_header)], database, **options)
            stack.enter_context(ThreadServer(Starlette(lifespan=lambda _: worker.worker())))
        server = stack.enter_context(ThreadServer(gateway.asgi()))
        yield lambda person: opened(server.url, person)


@pytest.fixture
def heard() -> Agent:
    return Agent(model=FunctionModel(obey), name="listener")


def test_a_thread_begins_goes_on_and_is_read_again(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        thread, events = alice.begin("hello  there")
        message, options = events[0].item, events[1].stream_options
        assert (message.type, message.content[0].text) == ("user_message", "hello  there")
        assert not options.allow_cancel
        (begun,) = [event.thread for event in events if event.type == "thread.updated"]
        assert (begun.title, begun.allowed_image_domains) == ("hello there", [])
        assert answers(events) == ["heard: hello  there"]
        assert answers(alice.write(thread, "and again")) == ["heard: and again"]
        assert alice.said(thread) == [
            ("user", "hello  there"),
            ("assistant", "heard: hello  there"),
            ("user", "and again"),
            ("assistant", "heard: and again"),
        ]
        whole = Thread.model_validate_json(alice.request("threads.get_by_id", thread_id=thread).content)
        assert (whole.title, len(whole.items.data)) == ("hello there", 4)
        assert whole.allowed_image_domains == []
        assert whole.items.data[0].id == message.id


def test_what_was_said_is_read_in_pages(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        thread, _ = alice.begin("one")
        alice.write(thread, "two")
        first = alice.items(thread, limit=3)
        assert [item.content[0].text for item in first.data] == ["heard: two", "two", "heard: one"]
        rest = alice.items(thread, limit=3, after=first.after)
        assert ([item.content[0].text for item in rest.data], rest.has_more) == (["one"], False)


def test_threads_are_listed_named_and_deleted(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        ids = [alice.begin(text)[0] for text in ("one", "two", "three")]
        alice.request("threads.update", thread_id=ids[1], title="zwei")
        listed = alice.request("threads.list", limit=2).json()
        assert [thread["title"] for thread in listed["data"]] == ["three", "zwei"]
        assert listed["has_more"]
        rest = alice.request("threads.list", limit=2, after=listed["after"]).json()
        assert ([thread["title"] for thread in rest["data"]], rest["has_more"]) == (["one"], False)
        assert alice.request("threads.delete", thread_id=ids[2]).json() == {}
        assert alice.request("threads.get_by_id", thread_id=ids[2]).status_code == 404
        with sqlite3.connect(tmp_path / "chatkit.db") as database:
            for table in ("threads", "conversations", "inbox", "outbox"):
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,), table
            assert database.execute("SELECT count(*) FROM session_items WHERE text LIKE '%three%'").fetchone() == (0,)


def test_a_thread_that_is_not_there_is_no_error_in_the_log(
    heard: Agent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(heard, tmp_path) as page:
        for kind in ("threads.add_user_message", "threads.retry_after_item"):
            answer = page("alice").request(kind, thread_id="thr_none", item_id="m", input=written("hello"))
            assert answer.status_code == 404
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("other", ["bob", "alice@another"])
def test_the_threads_of_others_are_not_there(heard: Agent, tmp_path: Path, other: str) -> None:
    with serving(heard, tmp_path) as page:
        alice, stranger = page("alice"), page(other)
        thread, _ = alice.begin("mine")
        for kind, params in (
            ("threads.get_by_id", {}),
            ("items.list", {}),
            ("threads.update", {"title": "theirs"}),
            ("threads.add_user_message", {"input": written("hello")}),
            ("threads.retry_after_item", {"item_id": "m"}),
        ):
            assert stranger.request(kind, thread_id=thread, **params).status_code == 404, kind
        stranger.request("threads.delete", thread_id=thread)
        assert stranger.request("threads.list").json()["data"] == []
        assert alice.said(thread) == [("user", "mine"), ("assistant", "heard: mine")]


def test_who_is_nobody_and_what_is_no_request_are_refused(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice, nobody = page("alice"), page("")
        assert nobody.request("threads.list").status_code == 401
        for body in (b"", b"[]", b"{}", b'{"type": []}', b'{"type": "threads.create"}'):
            answer = alice.client.post("/chatkit", content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 400, body
        for kind in ("attachments.create", "input.transcribe", "threads.custom_action", "items.feedback"):
            assert alice.request(kind).status_code == 400
        # What a page of another site can have its visitor's browser send.
        forged = json.dumps({"type": "threads.create", "params": {"input": written("pay")}})
        assert alice.client.post("/chatkit", content=forged, headers={"content-type": "text/plain"}).status_code == 415
        with sqlite3.connect(tmp_path / "chatkit.db") as database:
            assert database.execute("SELECT count(*) FROM inbox").fetchone() == (0,)


def test_phases_are_workflows_whose_tasks_are_what_is_called(tmp_path: Path, database_url: str) -> None:
    gate = threading.Event()

    class Search(Toolkit):
        @tool
        def search(self) -> str:
            """Finds something."""
            return "found"

    async def streamed(messages: list[ModelMessage], _: AgentInfo) -> Any:
        for word in ("this ", "is it"):
            yield word

    searcher = Agent(model=FunctionModel(obey), toolkits=[Search()], name="searcher")
    writer = Agent(model=FunctionModel(stream_function=streamed), name="writer")

    async def flow(message: Message) -> str:
        async with phase("Search"):
            await searcher("call search")
            async with phase("Read"):
                pass
        async with phase("Write"):
            while not gate.is_set():
                await asyncio.sleep(0.01)
            return await writer(message).stream()

    with serving(flow, tmp_path, database_url) as page:
        alice = page("alice")
        told = []
        for event in alice.events("threads.create", input=written("tell me")):
            told.append(event)
            is_workflow = event.type == "thread.item.added" and event.item.type == "workflow"
            if is_workflow and event.item.workflow.summary.title == "Write":
                gate.set()  # it is seen while the turn runs
        thread = told[0].thread.id
        done = [event.item for event in told if event.type == "thread.item.done"]
        assert [item.type for item in done] == ["user_message", "workflow", "workflow", "assistant_message"]
        search = done[1].workflow
        assert search.summary.title.startswith("Search (")
        assert [(task.title.partition(" (")[0], task.status_indicator) for task in search.tasks] == [
            ("search", "complete"),
            ("Read", "complete"),
        ]
        updates = [event.update for event in told if event.type == "thread.item.updated"]
        assert [update.type for update in updates[:4]] == ["workflow.task.added", "workflow.task.updated"] * 2
        deltas = [update.delta for update in updates if update.type.endswith("text_delta")]
        assert deltas == ["this ", "is it"]
        drafted = [event.item.id for event in told if event.type == "thread.item.added"][-1]
        assert (done[-1].id, done[-1].content[0].text) == (drafted, "this is it")
        assert alice.said(thread) == [("user", "tell me"), ("assistant", "this is it")]


def test_text_before_a_call_is_taken_away_and_the_call_is_progress(tmp_path: Path) -> None:
    class Clock(Toolkit):
        @tool
        def now(self) -> str:
            """Tells the time."""
            return "noon"

    async def streamed(messages: list[ModelMessage], _: AgentInfo) -> Any:
        if isinstance(messages[-1].parts[-1], UserPromptPart):
            yield "Let me look."
            yield {1: DeltaToolCall("now", "{}", tool_call_id="c1")}
        else:
            yield "It is noon."

    agent = Agent(model=FunctionModel(stream_function=streamed), toolkits=[Clock()])
    with serving(agent, tmp_path) as page:
        _, events = page("alice").begin("what time is it")
        kinds = [event.type for event in events]
        assert kinds.index("thread.item.removed") < kinds.index("progress_update")
        assert [event.text for event in events if event.type == "progress_update"] == ["Calling now"]
        assert answers(events) == ["It is noon."]


def test_a_sign_in_is_a_link_and_the_code_brings_the_answer(tmp_path: Path) -> None:
    with serving(Agent(model=FunctionModel(obey), toolkits=[Vault()]), tmp_path) as page:
        alice = page("alice")
        thread, events = alice.begin("call open_vault")
        (asked,) = answers(events)
        assert "[Connect Fake](https://fake.test/authorize?" in asked
        state = asked.partition("state=")[2].partition("&")[0]
        done = alice.client.get("/oauth/fake/callback", params={"state": state, "code": "of-alice"})
        code = code_on(done.text)
        told = answers(alice.write(thread, code))
        assert told == ["Your Fake account alice is connected.", "SECRET-alice"]
        assert "https://fake.test" not in str(alice.said(thread))  # it is no use any more


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


def test_a_message_is_sent_again_when_it_is_tried_again(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        thread, events = alice.begin("hello")
        again = list(alice.events("threads.retry_after_item", thread_id=thread, item_id=events[0].item.id))
        assert answers(again) == ["heard: hello"]
        assert len(alice.said(thread)) == 4
        assert alice.request("threads.retry_after_item", thread_id=thread, item_id="none").status_code == 404


def test_what_the_gateway_does_not_take_is_told(tmp_path: Path, heard: Agent) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        thread, _ = alice.begin("hello")
        with sqlite3.connect(tmp_path / "chatkit.db") as database:
            database.execute("DROP TABLE dedupe_keys")
        _, events = alice.begin("hello")
        assert [(event.type, event.allow_retry) for event in events] == [("error", True)]
        assert alice.request("threads.add_user_message", thread_id=thread, input=written("and")).status_code == 503


def test_a_new_conversation_begins_in_the_thread(tmp_path: Path) -> None:
    async def count(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(f"{len(messages)} messages")])

    with serving(Agent(model=FunctionModel(count)), tmp_path) as page:
        alice = page("alice")
        thread, _ = alice.begin("hello")
        assert answers(alice.write(thread, "hello")) == ["3 messages"]
        assert "new conversation" in answers(alice.write(thread, "/new"))[0]
        assert answers(alice.write(thread, "hello")) == ["1 messages"]


def test_a_thread_that_is_deleted_while_it_is_answered_leaves_nothing(tmp_path: Path, database_url: str) -> None:
    begun, gate = threading.Event(), threading.Event()

    async def slow(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        begun.set()
        while not gate.is_set():
            await asyncio.sleep(0.01)
        return ModelResponse([TextPart("at last")])

    with serving(Agent(model=FunctionModel(slow)), tmp_path, database_url) as page:
        alice = page("alice")
        stream = alice.events("threads.create", input=written("hello"))
        thread = next(stream).thread.id
        assert next(stream).type == "thread.item.done"
        assert begun.wait(10)
        assert alice.request("threads.delete", thread_id=thread).json() == {}
        gate.set()
        assert answers(list(stream)) == []
        assert alice.request("threads.list").json()["data"] == []
        begun.clear()
        assert answers(alice.begin("and now")[1]) == ["at last"]  # the gateway goes on


def test_what_was_quoted_is_told_to_the_agent(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        events = list(page("alice").events("threads.create", input=written("why?", quoted_text="it rains")))
        assert answers(events) == ["heard: > it rains\n\nwhy?"]


def test_who_leaves_finds_the_answer_in_the_thread(tmp_path: Path) -> None:
    gate = threading.Event()

    async def slow(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        while not gate.is_set():
            await asyncio.sleep(0.01)
        return ModelResponse([TextPart("at last")])

    with serving(Agent(model=FunctionModel(slow)), tmp_path) as page:
        alice = page("alice")
        stream = alice.events("threads.create", input=written("hello"))
        thread = next(stream).thread.id
        while next(stream).type != "stream_options":
            pass
        stream.close()  # type: ignore[attr-defined]
        gate.set()
        wait_until(lambda: len(alice.said(thread)) == 2, what="it is answered")
        assert alice.said(thread)[-1] == ("assistant", "at last")


@pytest.mark.parametrize(
    ("authenticate", "reason"),
    [
        (None, "is no async function"),
        (len, "is no async function"),
        ("nowhere:at_all", "No module named"),
        ("json:nothing", "has no attribute"),
    ],
)
def test_what_is_no_function_is_refused(authenticate: Any, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        ChatKit(authenticate)


def test_nobody_is_no_person() -> None:
    with pytest.raises(ValueError, match="without an id"):
        Person("")


def test_an_answer_counts_in_the_thread_of_the_question_alone(tmp_path: Path) -> None:
    orders = Orders()
    with serving(Agent(model=FunctionModel(obey), toolkits=[orders]), tmp_path) as page:
        alice = page("alice")
        other, _ = alice.begin("hello")
        asked, events = alice.begin('call cancel {"order":"4711"}')
        assert "May I do this" in answers(events)[0]
        assert answers(alice.write(other, "yes")) == ["heard: yes"]
        assert page("bob").request("threads.add_user_message", thread_id=asked, input=written("yes")).status_code == 404
        deleted, events = alice.begin('call cancel {"order":"4712"}')
        assert "May I do this" in answers(events)[0]
        alice.request("threads.delete", thread_id=deleted)
        assert orders.cancelled == []
        alice.write(asked, "yes")
        wait_until(lambda: orders.cancelled == ["4711"], what="it is done")
