"""The threads of each person: messages, answers, pages of items, and deletion."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from chatkit.types import Thread
from peers.wait import wait_until
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.channels.chatkit import ChatKitPage, answers, serving, written
from support.consent.pages import code_on, way_back_on
from support.stage import Orders, Vault, obey

from gateway import Agent

pytestmark = pytest.mark.long


def test_a_thread_begins_continues_and_is_read_again(heard: Agent, tmp_path: Path) -> None:
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


def test_a_person_rates_the_answers_of_their_own_threads(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice, bob = page("alice"), page("bob")
        thread, events = alice.begin("hello")
        (answer,) = [
            each.item.id for each in events if each.type == "thread.item.done" and each.item.type == "assistant_message"
        ]

        def rate(by: ChatKitPage, kind: str, *items: str) -> int:
            return by.request("items.feedback", thread_id=thread, item_ids=list(items), kind=kind).status_code

        assert rate(bob, "positive", answer) == 404
        assert rate(alice, "positive", events[0].item.id) == 404
        assert rate(alice, "positive", "workflow_1", answer) == 200
        assert rate(alice, "negative", answer) == 200
        with closing(sqlite3.connect(tmp_path / "chatkit.db")) as database:
            assert database.execute("SELECT user_id, conversation, rating FROM feedback").fetchall() == [
                ("alice", thread, "down")
            ]


def test_the_items_of_a_thread_are_read_in_pages(heard: Agent, tmp_path: Path) -> None:
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


def test_a_thread_that_does_not_exist_is_no_error_in_the_log(
    heard: Agent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(heard, tmp_path) as page:
        for kind in ("threads.add_user_message", "threads.retry_after_item"):
            answer = page("alice").request(kind, thread_id="thr_none", item_id="m", input=written("hello"))
            assert answer.status_code == 404
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("other", ["bob", "alice@another"])
def test_the_threads_of_others_are_not_found(heard: Agent, tmp_path: Path, other: str) -> None:
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


def test_a_sign_in_is_a_link_and_the_code_brings_the_answer(tmp_path: Path) -> None:
    with serving(Agent(model=FunctionModel(obey), toolkits=[Vault()]), tmp_path) as page:
        alice = page("alice")
        thread, events = alice.begin("call open_vault")
        (asked,) = answers(events)
        link = asked.partition("[Connect Fake](")[2].partition(")")[0]
        state = parse_qs(urlsplit(alice.client.get(urlsplit(link).path).headers["location"]).query)["state"][0]
        done = alice.client.get("/oauth/fake/callback", params={"state": state, "code": "of-alice"})
        code = code_on(done.text)
        told = answers(alice.write(thread, code))
        assert told == ["Your Fake account alice is connected.", "SECRET-alice"]
        assert "/sign-in/" not in str(alice.said(thread))  # the link cannot be used any more


def test_the_sign_in_page_leads_back_to_the_page_of_the_host_application(tmp_path: Path) -> None:
    agent = Agent(model=FunctionModel(obey), toolkits=[Vault()])
    with serving(agent, tmp_path, page="https://app.test/chat") as page:
        alice, bob = page("alice"), page("bob")
        thread, events = alice.begin("call open_vault")
        link = answers(events)[0].partition("[Connect Fake](")[2].partition(")")[0]
        state = parse_qs(urlsplit(alice.client.get(urlsplit(link).path).headers["location"]).query)["state"][0]
        done = alice.client.get("/oauth/fake/callback", params={"state": state, "code": "of-alice"})
        address, _, code = way_back_on(done.text).partition("#confirm=")
        assert (address, code) == ("https://app.test/chat", code_on(done.text).replace(" ", ""))
        assert "You have no open sign-in" in answers(bob.begin(f"Confirm {code}")[1])[0]
        told = answers(alice.write(thread, f"Confirm {code}"))
        assert told == ["Your Fake account alice is connected.", "SECRET-alice"]


def test_a_denial_is_told_in_the_thread(tmp_path: Path) -> None:
    with serving(Agent(model=FunctionModel(obey), toolkits=[Vault()]), tmp_path) as page:
        alice = page("alice")
        thread, events = alice.begin("call open_vault")
        link = answers(events)[0].partition("[Connect Fake](")[2].partition(")")[0]
        state = parse_qs(urlsplit(alice.client.get(urlsplit(link).path).headers["location"]).query)["state"][0]
        alice.client.get("/oauth/fake/callback", params={"state": state, "error": "access_denied"})
        wait_until(lambda: "Fake was not connected" in alice.said(thread)[-1][1], what="alice is told")


def test_a_retry_is_a_new_message(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        alice = page("alice")
        thread, events = alice.begin("hello")
        again = list(alice.events("threads.retry_after_item", thread_id=thread, item_id=events[0].item.id))
        assert answers(again) == ["heard: hello"]
        assert len(alice.said(thread)) == 4
        assert alice.request("threads.retry_after_item", thread_id=thread, item_id="none").status_code == 404


def test_a_message_that_is_not_accepted_is_reported_to_the_page(tmp_path: Path, heard: Agent) -> None:
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
        assert answers(alice.begin("and now")[1]) == ["at last"]  # the gateway still works


def test_the_agent_is_told_what_a_message_quotes(heard: Agent, tmp_path: Path) -> None:
    with serving(heard, tmp_path) as page:
        events = list(page("alice").events("threads.create", input=written("why?", quoted_text="it rains")))
        assert answers(events) == ["heard: > it rains\n\nwhy?"]


def test_a_person_who_leaves_finds_the_answer_in_the_thread(tmp_path: Path) -> None:
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


def test_an_answer_counts_only_in_the_thread_of_the_question(tmp_path: Path) -> None:
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
