"""A tool that does something in a person's name asks that person first, and nobody else can say yes or no."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from peers.aimock import Aimock, calls_tool, says
from pydantic_ai.models.function import FunctionModel
from support.agents.engines import ENGINES, model
from support.schemas.older import copy_to_older
from support.stage import FakeProvider, Stage, Vault, obey, place, stage

from gateway import Agent, Identity, Message, TurnContext
from gateway.channels.errors import DeliveryRefusedError
from gateway.operations.personal_data import PersonalData
from gateway.storage.connect import connect
from oauth import Keyring, OAuthCoordinator
from toolkits import ToolError, Toolkit, preview, tool
from toolkits.mcp import MCPServer

SEND = 'send_mail {"to":"carol@example.com","body":"hello"}'
QUESTION = """May I do this?

Send to `carol@example.com`:

```
hello
```"""


class Mail(Toolkit):
    """A toolkit that records the mails of each person."""

    _clone_shared_attrs = ("auth", "mails", "log")
    private = True

    def __init__(self, auth: Any = None) -> None:
        self.auth = auth
        self.scopes = frozenset({"read"}) if auth else frozenset()
        self.mails: list[tuple[str, str, str]] = []
        self.log: list[str] = []
        self.previewed = 0

    async def _sending(self, context: TurnContext, to: str, body: str) -> str:
        self.previewed += 1
        if self.auth is not None:
            await context.credentials("fake", {"read"})
        if "@" not in to:
            raise ToolError(f"{to} is no address")
        return f"Send to {preview.line(to)}:\n\n{preview.block(body)}"

    @tool(approval=_sending)
    async def send_mail(self, context: TurnContext, to: str, body: str) -> str:
        """Send a mail."""
        assert self.previewed == 0  # of another copy
        self.mails.append((context.identity.user_id, to, body))
        return f"sent to {to}"

    @tool(approval=True)
    def delete_all(self, folder: str) -> str:
        """Delete all of a folder."""
        self.log.append(f"deleted {folder}")
        return "deleted"

    @tool
    async def note(self, text: str) -> str:
        """Note something, which takes a while."""
        self.log.append(f"began {text}")
        await asyncio.sleep(0.3)  # longer than the grace period of a run that is stopped
        self.log.append(f"noted {text}")
        return "noted"


@pytest.fixture
def mail() -> Mail:
    return Mail()


async def test_a_call_is_shown_and_then_made_once_after_a_yes(tmp_path: Path, database_url: str, mail: Mail) -> None:
    scene = stage(tmp_path, [mail], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}") == QUESTION
        assert mail.mails == []
        assert await scene.ask("alice", "Yes.") == "sent to carol@example.com"
        assert mail.mails == [("alice", "carol@example.com", "hello")]
        assert await scene.ask("alice", "yes") == "heard: yes"
        assert len(mail.mails) == 1
    assert scene.rows("SELECT status, answer, arguments FROM questions") == [("answered", None, "")]
    outcomes = [row[0] for row in scene.rows("SELECT outcome FROM audit ORDER BY id")]
    assert outcomes == ["asked", "ok"]


async def test_a_no_is_told_to_the_model(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f"call {SEND}")
        assert "The user said no" in await scene.ask("alice", "no")
        assert mail.mails == []
    assert [row[0] for row in scene.rows("SELECT outcome FROM audit ORDER BY id")] == ["asked", "denied"]


async def test_any_other_text_is_no_approval_and_the_history_names_the_call_that_was_not_made(
    tmp_path: Path, mail: Mail
) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f"call {SEND}")
        assert await scene.ask("alice", "to bob instead") == "heard: to bob instead"
        assert await scene.ask("alice", "yes") == "heard: yes"
        assert mail.mails == []
    said = [row[0] for row in scene.rows("SELECT text FROM session_items ORDER BY id")]
    assert said[0] == f"call {SEND}"
    assert "Send to `carol@example.com`" in said[1]
    assert "was not done" in said[1]
    assert said[2] == "to bob instead"
    assert scene.rows("SELECT DISTINCT status FROM inbox") == [("done",)]


async def test_only_the_person_whose_turn_it_is_can_say_yes(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f"call {SEND}", "room")
        (question,) = scene.sent
        assert (question.text, question.alone) == (QUESTION, "alice")
        assert await scene.ask("bob", "yes", "room") == "heard: yes"
        assert await scene.ask("bob", "yes") == "heard: yes"
        assert await scene.ask("alice", "yes", "dm-alice", tenant="T2") == "heard: yes"
        assert await scene.ask("alice", "yes", "room", anonymous=True) == "heard: yes"
        assert mail.mails == []
        assert await scene.ask("alice", "yes", "room") == "Please answer that in a direct message, where I asked you."
        await scene.ask("alice", "yes")
        assert mail.mails == [("alice", "carol@example.com", "hello")]
        assert (scene.sent[-1].conversation, scene.sent[-1].alone) == ("room", "alice")


async def test_an_answer_counts_only_in_the_conversation_in_which_the_question_was_asked(
    tmp_path: Path, database_url: str, mail: Mail
) -> None:
    scene = stage(tmp_path, [mail], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", "shall we?", "dm-alice/b") == "heard: shall we?"
        assert await scene.ask("alice", f"call {SEND}", "dm-alice/a") == QUESTION
        for where in ("dm-alice/b", "dm-alice"):
            for text in ("yes", "no", "to bob instead"):
                assert await scene.ask("alice", text, where) == f"heard: {text}"
        assert mail.mails == []
        assert await scene.ask("alice", "yes", "dm-alice/a") == "sent to carol@example.com"
        assert len(mail.mails) == 1


async def test_a_yes_in_another_persons_conversation_does_not_count(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}", "dm-alice/a") == QUESTION
        assert await scene.ask("bob", "yes", "dm-alice/a") == "heard: yes"
        assert mail.mails == []


async def test_a_question_from_a_shared_conversation_is_answered_only_in_the_direct_conversation(
    tmp_path: Path, database_url: str, mail: Mail
) -> None:
    scene = stage(tmp_path, [mail], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}", "room") == QUESTION
        assert await scene.ask("alice", "yes", "dm-alice/a") == "heard: yes"
        assert await scene.ask("alice", "yes", "other-room") == "heard: yes"
        assert mail.mails == []
        assert await scene.ask("alice", "yes") == "sent to carol@example.com"


async def test_a_yes_that_came_before_the_question_was_sent_does_not_count(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        scene.channel.presenter.unreachable.add("alice")
        await scene.write("alice", f"call {SEND}", "room")
        await scene.wait_until(lambda: scene.channel.presenter.notes == [("room", "alice", False)])
        scene.channel.presenter.unreachable.clear()
        await scene.write("alice", "yes")
        assert {sent.text for sent in await scene.wait_for(2)} == {"heard: yes", QUESTION}
        assert mail.mails == []


async def test_each_conversation_has_a_question_of_its_own(tmp_path: Path, database_url: str, mail: Mail) -> None:
    scene = stage(tmp_path, [mail], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}", "dm-alice/a") == QUESTION
        assert "delete_all" in await scene.ask("alice", 'call delete_all {"folder":"inbox"}', "dm-alice/b")
        assert await scene.ask("alice", "yes", "dm-alice/b") == "deleted"
        assert mail.mails == []
        assert await scene.ask("alice", "yes", "dm-alice/a") == "sent to carol@example.com"


async def test_a_question_of_a_deleted_thread_is_gone_and_keeps_no_other_from_being_asked(
    tmp_path: Path, mail: Mail
) -> None:
    scene, alice = stage(tmp_path, [mail]), Identity("stage", "T1", "alice")
    async with scene.open():
        await scene.gateway.host.threads.create(alice, "dm-alice/a", "")
        assert await scene.ask("alice", f"call {SEND}", "dm-alice/a") == QUESTION
        await scene.gateway.host.threads.delete(alice, "dm-alice/a")
        assert await scene.ask("alice", "yes", "dm-alice/a") == "heard: yes"
        assert await scene.ask("alice", f"call {SEND}", "dm-alice/b") == QUESTION
        assert mail.mails == []


async def test_a_yes_after_a_sign_in_link_that_was_sent_since_is_not_taken_for_the_question(
    tmp_path: Path, mail: Mail
) -> None:
    scene = stage(tmp_path, [mail, Vault()])
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}") == QUESTION
        await scene.write("alice", "call open_vault", "room")
        assert (await scene.wait_for(2))[1].sign_in
        assert await scene.ask("alice", "yes") == QUESTION
        assert mail.mails == []


async def test_a_question_from_before_an_update_of_the_gateway_can_be_answered(
    tmp_path: Path, database_url: str, empty_database_url: str, mail: Mail
) -> None:
    scene = stage(tmp_path, [mail], database=database_url)
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}", "dm-alice/a") == QUESTION
        assert await scene.ask("bob", f"call {SEND}", "room") == QUESTION
        await scene.ask("D1", f"call {SEND}", "dm-of-slack")
        await scene.ask("7", f"call {SEND}", "dm-7")
    questions = scene.rows(
        "SELECT inbox_id, key, channel, tenant, user_id, message_id, message_text, tool, arguments, accounts, prompt, "
        "status, asked_at FROM questions"
    )
    copy_to_older(database_url, empty_database_url, "0014")
    older = stage(tmp_path, [mail], database=empty_database_url, written=10)
    older.rows("UPDATE outbox SET kind = replace(kind, 'question', 'text')")
    older.rows("UPDATE conversations SET channel = 'slack', key = 'D1' WHERE key = 'dm-of-slack'")
    older.rows("UPDATE conversations SET channel = 'telegram', key = '7' WHERE key = 'dm-7'")
    for question in questions:
        older.rows(
            "INSERT INTO approvals (inbox_id, key, channel, tenant, user_id, message_id, message_text, tool, "
            f"arguments, accounts, action, status, asked_at) VALUES ({', '.join(map(_literal, question))})"
        )
    await connect(empty_database_url).upgrade()
    places = older.rows("SELECT user_id, place_tenant, place_key FROM questions ORDER BY user_id")
    assert places == [("7", "T1", ""), ("D1", "T1", ""), ("alice", "T1", "dm-alice/a"), ("bob", "T1", "")]
    async with older.open():
        assert await older.ask("alice", "yes", "dm-alice/a") == "sent to carol@example.com"
        assert await older.ask("bob", "yes") == "sent to carol@example.com"


def _literal(value: object) -> str:
    """Return a value of a row as SQL writes it."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


async def test_a_yes_that_came_before_the_question_does_not_count(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.write("alice", f"call {SEND}")
        await scene.write("alice", "yes")
        sent = await scene.wait_for(2)
        assert [each.text for each in sent] == [QUESTION, "heard: yes"]
        assert mail.mails == []
        assert await scene.ask("alice", "yes") == QUESTION  # it is not certain which question she means
        await scene.ask("alice", "yes")
        assert len(mail.mails) == 1


async def test_questions_are_asked_one_at_a_time(tmp_path: Path, database_url: str, mail: Mail) -> None:
    scene = stage(tmp_path, [mail], database=database_url)
    async with scene.open():
        await scene.ask("alice", f"call {SEND}")
        await scene.write("alice", 'call delete_all {"folder":"inbox"}', "room")
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'asked'", 2)
        assert len(scene.sent) == 1
        await scene.write("alice", "yes")
        sent = await scene.wait_for(3)
        assert {each.text for each in sent[1:]} >= {"sent to carol@example.com"}
        (second,) = [each for each in sent if "delete_all" in each.text]
        assert second.alone == "alice"
        assert mail.log == []
        await scene.wait_until_rows("SELECT count(*) FROM inbox WHERE status = 'asked'", 1)
        await scene.write("alice", "yes")
        sent = await scene.wait_for(4)
        if "May I" in sent[3].text:  # the answer to the first came after the second question
            await scene.write("alice", "yes")
            sent = await scene.wait_for(5)
        assert sent[-1].text == "deleted"
        assert mail.log == ["deleted inbox"]


async def test_the_arguments_are_shown_as_they_are_if_a_tool_has_no_preview(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        asked = await scene.ask("alice", 'call delete_all {"folder":"in```**yes**\\u202ebox"}')
        assert "Call `delete_all` with:" in asked
        assert r'"in\u0060\u0060\u0060**yes**\u202ebox"' in asked


async def test_the_preview_of_a_tool_shows_invisible_characters(tmp_path: Path) -> None:
    class Payments(Mail):
        async def _paying(self, context: TurnContext, to: str) -> str:
            return f"Pay {to}"

        @tool(approval=_paying)
        async def pay(self, context: TurnContext, to: str) -> str:
            """Pay somebody."""
            return "paid"

    scene = stage(tmp_path, [Payments()])
    async with scene.open():
        assert r"Pay bo\u3164b\u202e" in await scene.ask("alice", 'call pay {"to":"bo\\u3164b\\u202e"}')


async def test_a_call_that_is_too_long_to_read_is_not_asked_about(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        body = "x" * 20_000
        answer = await scene.ask("alice", f'call send_mail {{"to":"carol@example.com","body":"{body}"}}')
        assert "too long for the user to read" in answer
        assert scene.rows("SELECT count(*) FROM questions") == [(0,)]


async def test_a_call_that_must_fail_is_not_asked_about(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        assert await scene.ask("alice", 'call send_mail {"to":"carol","body":"x"}') == '{"error":"carol is no address"}'


async def test_an_account_is_connected_before_the_question(tmp_path: Path) -> None:
    mail = Mail(FakeProvider())
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.write("alice", f"call {SEND}")
        link = (await scene.wait_for(1))[0].link
        await scene.connect(link, "alice")
        asked = (await scene.wait_for(2))[1].text
        assert asked == QUESTION.replace("do this", "do this as `alice`")
        assert await scene.ask("alice", "yes") == "sent to carol@example.com"
        assert len(mail.mails) == 1


async def test_concurrent_calls_end_before_the_turn_waits(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f'call note {{"text":"a"}} {SEND} note {{"text":"b"}}')
        assert mail.log[2:] == ["noted a", "noted b"]
        answer = await scene.ask("alice", "yes")
        assert answer == "noted | sent to carol@example.com | noted"
        assert len(mail.log) == 4


async def test_two_calls_of_one_answer_are_two_questions(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f'call {SEND} delete_all {{"folder":"inbox"}}')
        assert "delete_all" in await scene.ask("alice", "yes")
        assert (len(mail.mails), mail.log) == (1, [])
        answer = await scene.ask("alice", "no")
        assert answer.startswith('sent to carol@example.com | {"error":"The user said no')
        assert (len(mail.mails), mail.log) == (1, [])


async def test_approved_calls_are_in_the_history_if_later_ones_are_not_approved(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f'call {SEND} delete_all {{"folder":"inbox"}}')
        await scene.ask("alice", "yes")
        await scene.ask("alice", "what did you do?")
    (note,) = scene.rows("SELECT text FROM session_items WHERE role = 'assistant' ORDER BY id LIMIT 1")
    assert 'I called send_mail: "sent to carol@example.com"' in note[0]
    assert "was not done" in note[0]


async def test_members_ask_too(tmp_path: Path, mail: Mail) -> None:
    member = Agent(model=FunctionModel(obey), toolkits=[mail], name="mailer")
    scene = stage(tmp_path, [], members=[member])
    async with scene.open():
        task = SEND.replace('"', '\\"').replace(" ", "\\u0020")
        assert await scene.ask("alice", f'call ask_mailer {{"task":"{task}"}}') == QUESTION
        assert await scene.ask("alice", "yes") == "sent to carol@example.com"
        assert len(mail.mails) == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_every_engine_waits_for_approval_and_continues(
    tmp_path: Path, engine: str, aimock: Aimock, mail: Mail
) -> None:
    aimock.load(
        [
            says("", "done", toolResultContains="sent to"),
            says("", "not done", toolResultContains="said no"),
            calls_tool("mail carol", "send_mail", {"to": "carol@example.com", "body": "hello"}),
            says("", "heard"),
        ]
    )
    agent = Agent(model=model(engine, aimock), engine=engine, toolkits=[mail])
    scene = stage(tmp_path, agent=agent)
    async with scene.open():
        assert await scene.ask("alice", "mail carol") == QUESTION
        assert await scene.ask("alice", "yes") == "done"
        assert await scene.ask("bob", "mail carol") == QUESTION
        assert await scene.ask("bob", "no") == "not done"
        assert mail.mails == [("alice", "carol@example.com", "hello")]


async def test_a_question_can_be_answered_after_a_restart(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f"call {SEND}")
    again = stage(tmp_path, [mail], written=10)
    async with again.open():
        assert await again.ask("alice", "yes") == "sent to carol@example.com"


async def test_a_question_that_could_not_be_delivered_blocks_nothing(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    scene.channel.presenter.failures = [DeliveryRefusedError("no")]
    async with scene.open():
        await scene.write("alice", f"call {SEND}")
        await scene.wait_for(1)  # the notice that something could not be delivered
        assert await scene.ask("alice", "yes") == "heard: yes"
        assert mail.mails == []
        assert await scene.ask("alice", f"call {SEND}") == QUESTION


async def test_an_answer_after_a_day_is_not_accepted(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f"call {SEND}")
        await scene.change("UPDATE questions SET until = '2026-01-01 00:00:00.000000'")
        assert await scene.ask("alice", "yes") == "heard: yes"
        assert mail.mails == []


async def test_an_id_that_several_people_share_is_not_asked(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        assert "cannot tell who you are" in await scene.ask("admins", f"call {SEND}", "room", anonymous=True)
        assert mail.mails == []


async def test_open_questions_are_exported_and_erased_with_the_persons_data(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        await scene.ask("alice", f"call {SEND}")
        await scene.ask("bob", f"call {SEND}")
        assert scene.gateway.parts.oauth is None
        database = scene.gateway.parts.backend.database
        coordinator = OAuthCoordinator(database, Keyring.parse(Keyring.generate()), "")
        data = PersonalData(database, coordinator)
        alice = Identity("stage", "T1", "alice")
        (waiting,) = (await data.export(alice))["questions"]
        assert "carol@example.com" in waiting["prompt"]
        assert (await data.erase(alice))["questions"] == 1
        assert await scene.ask("alice", "yes") == "heard: yes"
        assert await scene.ask("bob", "yes") == "sent to carol@example.com"
        assert mail.mails == [("bob", "carol@example.com", "hello")]


async def test_a_host_application_has_nobody_to_ask(tmp_path: Path, mail: Mail) -> None:
    scene = stage(tmp_path, [mail])
    async with scene.open():
        sender = Identity("stage", "T1", "alice")
        message = Message(id="1", text=f"call {SEND}", sender=sender, sender_name="A", conversation=place("dm-alice"))
        assert "nobody can be asked" in await scene.gateway.run(message)
        assert mail.mails == []


async def test_an_operator_may_have_some_calls_made_without_a_question(tmp_path: Path, mail: Mail) -> None:
    mail.auto_approve = ["send_mail"]
    scene: Stage = stage(tmp_path, [mail])
    async with scene.open():
        assert await scene.ask("alice", f"call {SEND}") == "sent to carol@example.com"
        assert "May I" in await scene.ask("alice", 'call delete_all {"folder":"inbox"}')


SERVER = """
import pathlib, sys
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("shop")

@server.tool()
def buy(what: str) -> str:
    pathlib.Path(sys.argv[1]).write_text(what)
    return f"bought {what}"

@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def look() -> str:
    return "much"

server.run()
"""


@pytest.mark.processes
async def test_tools_of_an_mcp_server_ask_if_the_operator_wants_it(tmp_path: Path) -> None:
    bought = tmp_path / "bought"
    shop = MCPServer([sys.executable, "-c", SERVER, str(bought)], name="shop", approval=True)
    scene = stage(tmp_path, agent=Agent(model=FunctionModel(obey), mcp_servers=[shop]))
    async with scene.open():
        assert await scene.ask("alice", "call look") == "much"
        assert '"what": "bread"' in await scene.ask("alice", 'call buy {"what":"bread"}')
        assert not bought.exists()
        assert await scene.ask("alice", "yes") == "bought bread"
        assert bought.read_text() == "bread"


def test_a_read_only_toolkit_has_no_other_tools() -> None:
    class Quiet(Mail):
        read_only = True

        @tool(read_only=True)
        def count(self) -> int:
            """Count."""
            return 1

    assert list(Quiet().functions) == ["count"]
