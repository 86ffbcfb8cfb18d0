"""Messages from the host application, and answers to it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from standardwebhooks import Webhook as StandardWebhook
from understudy_webhook import Webhook

from gateway import Agent, Gateway, SettingError, TurnContext
from gateway.configuration.discovery import configured_interfaces, load_interface
from gateway.testing import Answer, Call, Failure, FakeProvider, StandIn, obey, stage_timings, wait_until
from oauth import Keyring
from toolkits import Toolkit, tool

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example in the specification
SIGNER = StandardWebhook(SECRET)
TIMINGS = stage_timings(longest_pause=0.01, due_interval=0.02)  # retries are made at once

ALICE = {"id": "u1", "name": "Alice"}
DIRECT = {"type": "message", "id": "m1", "conversation": "u1", "shared": False, "sender": ALICE, "text": "hello"}
ROOM = {**DIRECT, "id": "m2", "conversation": "room-7", "shared": True}


class Notes(Toolkit):
    """Reads a person's own notes."""

    _clone_shared_attrs = ("auth",)
    private = True
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def read_notes(self, context: TurnContext) -> str:
        """Read the person's notes."""
        return f"the notes of {await context.credentials('fake', {'read'})}"


@dataclass
class Host:
    """A stand-in for a host application, and the gateway to which it posts."""

    stand_in: StandIn
    client: httpx.AsyncClient
    gateway: Gateway

    async def post(self, fields: Any, *, age: timedelta = timedelta(0), **headers: str) -> int:
        """Post a message that was signed so long ago, and return the status of the response."""
        body, at = json.dumps(fields), datetime.now(UTC) - age
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": SIGNER.sign("msg_1", at, body),
        }
        answer = await self.client.post("/webhook/messages", content=body, headers={**signed, **headers})
        return answer.status_code

    async def got(self, count: int) -> list[dict[str, Any]]:
        """Wait until the host has so many requests, check their signatures, and return their bodies."""
        await wait_until(lambda: len(self.stand_in.calls) >= count, what=f"{count} requests to the host")
        return [verified(call) for call in self.stand_in.calls]


def verified(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = SIGNER.verify(call.body, dict(call.headers))
    assert call.headers["webhook-id"] == body["id"]
    return body


@asynccontextmanager
async def hosted(
    directory: Path, toolkits: Sequence[Toolkit] = (), model: Callable[..., Awaitable[ModelResponse]] = obey
) -> AsyncIterator[Host]:
    async with StandIn(lambda call: Answer("", 204)).serving() as stand_in:
        gateway = Gateway(
            Agent(model=FunctionModel(model), toolkits=toolkits),
            [Webhook(SECRET, f"{stand_in.url}/answers")],
            f"sqlite:///{directory}/understudy.db",
            base_url="https://bot.test",
            secret_key=Keyring.generate(),
            timings=TIMINGS,
        )
        transport = httpx.ASGITransport(gateway.asgi())
        async with httpx.AsyncClient(transport=transport, base_url="https://bot.test") as client, gateway.lifespan():
            yield Host(stand_in, client, gateway)


async def test_an_answer_is_posted_to_the_conversation_in_which_the_message_was(tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        assert await host.post({**ROOM, "tenant": "acme"}) == 204
        (answer,) = await host.got(1)
    assert host.stand_in.calls[0].path == "/answers"
    assert answer.pop("id")
    assert answer.pop("text")
    assert answer == {
        "type": "answer",
        "tenant": "acme",
        "conversation": "room-7",
        "shared": True,
        "only_for": None,
        "reply_to": "m2",
    }


async def test_a_direct_answer_names_the_only_person_who_may_see_it(tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        await host.post(DIRECT)
        (answer,) = await host.got(1)
    assert (answer["conversation"], answer["shared"], answer["only_for"]) == ("u1", False, "u1")


async def test_a_private_answer_and_its_sign_in_link_do_not_go_to_the_room(tmp_path: Path) -> None:
    async with hosted(tmp_path, [Notes()]) as host:
        await host.post({**ROOM, "text": "call read_notes"})
        (sign_in,) = await host.got(1)
        assert (sign_in["type"], sign_in["only_for"], sign_in["conversation"]) == ("sign_in", "u1", "u1")
        assert (sign_in["shared"], sign_in["asked_in"]) == (False, "room-7")
        assert sign_in["link"] in sign_in["text"]
        oauth = host.gateway.parts.oauth
        assert oauth is not None
        request = await oauth.authorization_url(sign_in["link"].rpartition("/")[2])
        state = request.partition("state=")[2].partition("&")[0]
        consent = await oauth.complete("fake", state, "of-alice")
        await host.post({**DIRECT, "text": consent.code})
        answers = await host.got(4)
    (private,) = [answer for answer in answers if "SECRET-alice" in answer["text"]]
    (note,) = [answer for answer in answers if answer["conversation"] == "room-7"]
    assert private["text"] == "the notes of SECRET-alice"
    assert (private["conversation"], private["shared"], private["asked_in"]) == ("u1", False, "room-7")
    assert (note["text"], note["only_for"]) == ("I answered you in our direct conversation.", None)


@pytest.mark.parametrize(
    "failure",
    [
        Failure("the answer is lost", Answer(lost=True), ConnectionError),
        Failure("the host fails", Answer({}, 500), ConnectionError),
    ],
    ids=lambda failure: failure.name,
)
async def test_an_answer_that_may_have_arrived_is_posted_again_under_its_id(failure: Failure, tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        host.stand_in.failure = failure
        await host.post(DIRECT)
        await host.got(1)
        host.stand_in.failure = None
        first, *_, last = await host.got(2)
    assert first == last


async def test_a_message_that_is_posted_twice_is_answered_once(tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        for fields in (DIRECT, DIRECT, {**DIRECT, "id": "m9"}):
            assert await host.post(fields) == 204
        assert [answer["reply_to"] for answer in await host.got(2)] == ["m1", "m9"]


@pytest.mark.parametrize("shared", [True, False])
async def test_a_conversation_with_the_same_id_does_not_read_what_another_person_wrote_directly(
    shared: bool, tmp_path: Path
) -> None:
    told: list[str] = []

    async def listen(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(str(messages))
        return await obey(messages, info)

    async with hosted(tmp_path, model=listen) as host:
        await host.post({**DIRECT, "text": "my number is 4711"})
        await host.got(1)
        await host.post({**DIRECT, "id": "m2", "shared": shared, "sender": {"id": "u2"}, "text": "what is new?"})
        _, answer = await host.got(2)
    assert (answer["conversation"], answer["only_for"]) == ("u1", None if shared else "u2")
    assert ["4711" in messages for messages in told] == [True, False]


@pytest.mark.parametrize("minutes", [-5.1, 5.1, 60])
async def test_a_message_is_refused_if_its_signature_is_too_old_or_in_the_future(
    minutes: float, tmp_path: Path
) -> None:
    async with hosted(tmp_path) as host:
        assert await host.post(DIRECT, age=timedelta(minutes=minutes)) == 401


async def test_a_message_is_accepted_within_five_minutes_of_its_signature(tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        assert await host.post(DIRECT, age=timedelta(minutes=4.5)) == 204


@pytest.mark.parametrize("signature", ["v1", "v1,", "v1,#", "v1,a,b", "v2,AAAA", "v1,AAAA v1", "v1,ä", " "])
async def test_a_malformed_signature_is_refused(signature: str, tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        assert await host.post(DIRECT, **{"webhook-signature": signature.encode("latin-1")}) == 401  # type: ignore[arg-type]
        assert await host.post(DIRECT, **{"webhook-timestamp": "nan"}) == 401


async def test_a_body_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    async with hosted(tmp_path) as host:
        answer = await host.client.post(
            "/webhook/messages",
            content=b"\xff",
            headers={"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"},
        )
        assert answer.status_code == 401


@pytest.mark.parametrize("secret", ["secret", "whsec_", "whsec_c2hvcnQ=", "c2hvcnQ=", "whsec_####"])
def test_the_error_names_the_setting_of_a_malformed_secret_and_not_the_secret(secret: str) -> None:
    with pytest.raises(SettingError, match="WEBHOOK_SECRET is malformed: it has to be the base64 of") as raised:
        Webhook(secret, "https://host.example.com/answers")
    assert "found" not in str(raised.value)


def test_settings_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_SECRET", raising=False)
    monkeypatch.delenv("WEBHOOK_URL", raising=False)
    with pytest.raises(SettingError, match=r"(?s)WEBHOOK_SECRET is not set.*WEBHOOK_URL is not set"):
        Webhook()


def test_the_gateway_finds_the_channel_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_interface("webhook") is Webhook
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("WEBHOOK_URL", "https://host.example.com/answers")
    assert any(isinstance(interface, Webhook) for interface in configured_interfaces())
