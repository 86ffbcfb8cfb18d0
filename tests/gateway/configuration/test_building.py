"""The gateway that a YAML file describes."""

import asyncio
import re
from pathlib import Path

import pytest
from peers.aimock import Aimock, says
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.agents.engines import ENGINES, model
from support.gateway_files import WHOLE, Write
from support.stage import StageChannel, obey, place, stage
from typer.testing import CliRunner

from gateway import Gateway, Identity, Message, SettingError
from gateway.attachments.openai_transcriber import OpenAITranscriber
from gateway.cli.main import app
from gateway.configuration.building import load
from gateway.request_context import request_context
from oauth import Keyring


async def ask(gateway: Gateway, person: str, text: str, channel: str = "stage", tenant: str = "T1") -> str:
    where = place(f"dm-{person}", tenant)
    sender = Identity(channel, tenant, person)
    return await gateway.run(Message(id="1", text=text, sender=sender, sender_name=person, conversation=where))


def obeying(gateway: Gateway) -> Gateway:
    for agent in gateway._setup.team():
        if agent.native is None:
            agent.model = FunctionModel(obey)
    return gateway


TRANSCRIBING = """
agents: {{notes: {{model: openai:gpt-5.2, transcriber: '{model}'}}}}
interfaces: {{telegram: {{bot_token: 12:x, webhook_secret: secret}}}}
"""


def test_an_agent_may_have_a_model_that_transcribes(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    agent = load(write(TRANSCRIBING.format(model="whisper-1"))).agent
    assert isinstance(agent.transcriber, OpenAITranscriber)
    assert agent.deep_copy().transcriber is agent.transcriber
    with pytest.raises(SettingError, match="groq:whisper"):
        load(write(TRANSCRIBING.format(model="groq:whisper")))


NAMED = """
agents: {sales: {model: openai:gpt-5.2}, support: {model: openai:gpt-5.2}}
interfaces:
  telegram:
  telegram.support:
  whatsapp.support: {whatsapp_from: 'whatsapp:+15550001111'}
routes:
- {agent: sales}
- {agent: support, channel: telegram.support}
"""


def test_channels_may_have_names_with_settings_and_routes_of_their_own(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OPENAI_API_KEY": "any",
        "TELEGRAM_BOT_TOKEN": "1:a",
        "TELEGRAM_WEBHOOK_SECRET": "one",
        "TELEGRAM_SUPPORT_BOT_TOKEN": "2:b",
        "TELEGRAM_SUPPORT_WEBHOOK_SECRET": "two",
        "TWILIO_SUPPORT_ACCOUNT_SID": "AC1",
        "TWILIO_SUPPORT_AUTH_TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)
    gateway = load(write(NAMED))
    assert {channel: interface.address for channel, interface in gateway.interfaces.items()} == {
        "telegram": "/telegram/webhook",
        "telegram.support": "/telegram/support/webhook",
        "whatsapp.support": "/whatsapp/support/webhook",
    }
    answering = {channel: gateway.parts.router.agent_of(channel, "any").name for channel in gateway.interfaces}
    assert answering == {"telegram": "sales", "telegram.support": "support", "whatsapp.support": "sales"}


ACCESS = """
agents: {notes: {model: openai:gpt-5.2}}
interfaces:
  slack: {bot_token: xoxb-1, signing_secret: secret, access: allowlist}
  telegram: {bot_token: '12:x', webhook_secret: secret, access: pairing}
  telegram.support: {bot_token: '13:x', webhook_secret: secret, access: allowlist}
  whatsapp: {account_sid: AC1, auth_token: token, whatsapp_from: 'whatsapp:+15550001111', access: pairing}
  chatkit: {authenticate: 'support.channels.chatkit:by_header', access: allowlist}
  web:
limits: {turns_per_minute: 10, turns_per_day: 200}
"""


def test_each_channel_has_a_policy_and_the_gateway_has_limits(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    gateway = load(write(ACCESS))
    policies = {channel: interface.access for channel, interface in gateway.interfaces.items()}
    assert policies == {
        "slack": "allowlist",
        "telegram": "pairing",
        "telegram.support": "allowlist",
        "whatsapp": "pairing",
        "chatkit": "allowlist",
        "web": "open",
    }
    assert (gateway.settings.turns_per_minute, gateway.settings.turns_per_day) == (10, 200)


@pytest.mark.parametrize("channel", ["slack", "telegram", "whatsapp", "chatkit"])
def test_an_unknown_policy_is_a_mistake_in_the_file(write: Write, channel: str) -> None:
    with pytest.raises(SettingError, match="open, allowlist or pairing"):
        load(write(re.sub(rf"(  {channel}: .*access: )\w+", r"\1closed", ACCESS)))


AGENT_VIEW = """
agents: {notes: {model: openai:gpt-5.2, prompts: ['What is new?', 'What is due today?']}}
interfaces: {slack: {bot_token: xoxb-1, signing_secret: secret, agent_view: true}}
"""


def test_an_agent_may_suggest_first_messages(write: Write) -> None:
    agent = load(write(AGENT_VIEW)).agent
    assert agent.prompts == agent.deep_copy().prompts == ("What is new?", "What is due today?")


async def test_a_gateway_is_built_from_a_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    gateway = obeying(load(write(WHOLE)))
    gateway.interfaces = {"stage": StageChannel()}
    assert [agent.name for agent in gateway.agents] == ["notes", "research"]
    assert gateway.agent.when_busy == "collect"
    assert gateway.parts.player._ending._retries.tries == 2
    async with gateway.lifespan():
        assert await ask(gateway, "alice", "call where") == "T1/alice ['stage', 'none', '${literal}', 'eu']"
        with request_context({"PLAN": "pro"}):
            assert await ask(gateway, "bob", "call where") == "T1/bob ['stage', 'pro', '${literal}', 'eu']"
            monkeypatch.setenv("PLAN", "free")
            monkeypatch.setenv("USER_ID", "root")
            assert await ask(gateway, "bob", "call where") == "T1/bob ['stage', 'pro', '${literal}', 'eu']"
        assert await ask(gateway, "bob", "call where") == "T1/bob ['stage', 'free', '${literal}', 'eu']"
        assert await ask(gateway, "bob", "/research this") == "flow: this"


async def test_only_shared_arguments_are_shared_between_people(write: Write) -> None:
    gateway = obeying(
        load(
            write("""
        agents:
          notes:
            toolkits: [{use: "MYKITS:Notes", namespace: "${USER_ID}"}]
        interfaces: {web: {}}
    """)
        )
    )
    template = gateway.agent.toolkits[0]
    async with gateway.lifespan():
        await ask(gateway, "alice", 'call note {"text":"a"}')
        assert await ask(gateway, "bob", 'call note {"text":"b"}') == "{'alice': ['a'], 'bob': ['b']}"
    assert template.namespace == "${USER_ID}"  # type: ignore[attr-defined]


async def test_arguments_are_converted_to_the_types_that_a_toolkit_names(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUR", "9")
    path = write("""
        agents:
          a:
            toolkits:
              - use: MYKITS:Typed
                limit: ${LIMIT:5}
                directory: notes/${USER_ID}
                hours: {mon: ["${HOUR}", 17]}
                words: [one, two]
                clock: noon
        request_context: [LIMIT]
        interfaces: {web: {}}
    """)
    gateway = obeying(load(path))
    told = "PosixPath('notes/alice'), {'mon': [9, 17]}, ('one', 'two'), 'noon')"
    async with gateway.lifespan():
        assert await ask(gateway, "alice", "call tell") == f"(6, {told}"
        with request_context({"LIMIT": "7"}):
            assert await ask(gateway, "alice", "call tell") == f"(8, {told}"
        with request_context({"LIMIT": "many"}), pytest.raises(SettingError, match=r"Typed\(limit=…\) cannot be made"):
            await ask(gateway, "alice", "call tell")


def test_instructions_contain_the_values_of_the_request(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    agent = load(write(WHOLE)).agent
    for person in ("alice", "bob"):
        with request_context({"USER_ID": person}):
            assert agent.deep_copy().instructions == f"You keep the notes of {person} in eu."
    assert agent.instructions == "You keep the notes of ${USER_ID} in ${REGION}.".replace("${REGION}", "eu")
    with request_context({"OTHER": 1}), pytest.raises(SettingError, match=r"\$\{USER_ID\} is used in"):
        agent.deep_copy()


@pytest.mark.parametrize("name", ["REFERENCE", "REQUEST_ID"])  # REQUEST_ID is the name of earlier versions
def test_instructions_have_the_reference_of_the_request(write: Write, name: str) -> None:
    written = f"agents: {{a: {{instructions: 'You answer ${{{name}}}.'}}}}\ninterfaces: {{web: {{}}}}"
    agent = load(write(written)).agent
    with request_context({"REFERENCE": "4db7b441"}):
        assert agent.deep_copy().instructions == "You answer 4db7b441."


async def test_instructions_have_the_name_and_the_time_zone_of_the_person(write: Write, tmp_path: Path) -> None:
    told: list[str | None] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told.append(info.instructions)
        return ModelResponse([TextPart("heard")])

    where = "You help ${USER_NAME:somebody}, in ${TIMEZONE:UTC} and ${LOCALE:English}."
    agent = load(write(f"agents: {{a: {{instructions: '{where}'}}}}\ninterfaces: {{web: {{}}}}")).agent
    agent.model = FunctionModel(answer)
    scene = stage(tmp_path, agent=agent)
    async with scene.open():
        await scene.ask("alice", "hello", locale="de-DE", timezone="Europe/Berlin")
        await scene.ask("bob", "hello", timezone="Mars/Crater", locale="</x>")
    assert told == ["You help Alice, in Europe/Berlin and de-DE.", "You help Bob, in UTC and English."]


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_person_has_their_own_instructions_on_every_engine(
    engine: str, write: Write, aimock: Aimock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"p{number}" for number in range(20)]
    aimock.load([says(f"of {person}", f"told {person}", systemMessage=f"You help {person}.") for person in people])
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    agent = f"{{engine: {engine}, model: 'openai:gpt-test', instructions: 'You help ${{USER_ID}}.'}}"
    gateway = load(write(f"agents: {{a: {agent}}}\ninterfaces: {{web: {{}}}}"))
    gateway.agent.model = model(engine, aimock)
    async with gateway.lifespan():
        said = await asyncio.gather(*(ask(gateway, person, f"of {person}") for person in people))
    assert said == [f"told {person}" for person in people]


ACCOUNTS = """
    agents:
      a:
        model: test
        toolkits:
          - {use: gmail, auth: google, read_only: true}
          - {use: calendar, auth: google}
        mcp_servers:
          - server: https://acme.test/mcp
            auth: acme
            scopes: ["orders:read"]
    providers:
      acme:
        authorization_endpoint: https://acme.test/authorize
        token_endpoint: https://acme.test/token
        account_endpoint: https://acme.test/me
        account_field: login
        client_id: us
        client_secret: ${ACME_KEY}
        permissions: {"orders:read": see your orders}
    interfaces: {web: {}}
    base_url: https://bot.test
"""


def test_accounts_use_the_providers_that_the_file_describes(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "s", "ACME_KEY": "s3cret"}
    for name, value in {**settings, "UNDERSTUDY_SECRET_KEY": Keyring.generate()}.items():
        monkeypatch.setenv(name, value)
    path = write(ACCOUNTS)
    gateway = load(path)
    gmail, calendar = gateway.agent.toolkits
    assert gmail.auth is calendar.auth
    (server,) = gateway.agent.mcp_servers
    assert (server.auth.name, server.auth.label, server.auth.permission("orders:read")) == (
        "acme",
        "Acme",
        "see your orders",
    )
    assert server.scopes == {"orders:read"}
    shown = CliRunner().invoke(app, ["config", "show", str(path)]).stdout
    assert "s3cret" not in shown
    assert "client_secret: '***'" in shown
