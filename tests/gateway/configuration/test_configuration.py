"""A gateway as a YAML file: what it makes, and what is said of one that is broken."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from engine_agents import ENGINES, model
from peers.aimock import Aimock, says
from pydantic_ai.models.function import FunctionModel
from stage import StageChannel, obey, place
from typer.testing import CliRunner

from gateway import Gateway, Identity, Message, SettingError
from gateway.cli.main import app
from gateway.configuration import load
from gateway.request_context import request_context
from oauth import Keyring

KITS = '''
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway import Agent, Message
from oauth import OAuthProvider
from toolkits import Toolkit, tool


class Notes(Toolkit):
    _clone_shared_attrs = ("store",)

    def __init__(self, namespace: str, tags: list[str] | None = None, store: dict | None = None) -> None:
        self.namespace = namespace
        self.tags = tags or []
        self.store = {} if store is None else store

    @tool
    def where(self) -> str:
        """Tells where notes are."""
        return f"{self.namespace} {self.tags}"

    @tool
    def note(self, text: str) -> str:
        """Notes something."""
        self.store.setdefault(self.namespace, []).append(text)
        return str(self.store)


helper = Agent(model="test", name="helper")


async def flow(message: Message) -> str:
    return f"flow: {message.text}"


class Typed(Toolkit):
    def __init__(
        self, limit: int, directory: Path = Path("a"), hours: Mapping[str, list[int]] | None = None,
        words: Iterable[str] = (), auth: OAuthProvider | None = None, clock: "Unimported | None" = None,
    ) -> None:
        self.limit = limit
        self.directory = directory
        self.hours = hours
        self.words = tuple(words)
        self.clock = clock

    @tool
    def tell(self) -> str:
        """Tells what it was made with."""
        return repr((self.limit + 1, self.directory, self.hours, self.words, self.clock))


class NoToolkit:
    pass
'''

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setenv("UNDERSTUDY_MODEL", "test")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", f"sqlite:///{tmp_path}/config.db")
    monkeypatch.chdir(tmp_path)
    name = f"kits_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(KITS)

    def written(text: str) -> Path:
        path = tmp_path / "gateway.yaml"
        path.write_text(dedent(text).replace("MYKITS:", f"{name}:"))
        return path

    return written


async def ask(gateway: Gateway, person: str, text: str, channel: str = "stage", tenant: str = "T1") -> str:
    where = place(f"dm-{person}", tenant)
    sender = Identity(channel, tenant, person)
    return await gateway.run(Message(id="1", text=text, sender=sender, sender_name=person, conversation=where))


def obeying(gateway: Gateway) -> Gateway:
    for agent in gateway._setup.team():
        if agent.native is None:
            agent.model = FunctionModel(obey)
    return gateway


WHOLE = """
    agents:
      notes:
        instructions: You keep the notes of ${USER_ID} in ${REGION}.
        description: I keep notes.
        toolkits:
          - use: MYKITS:Notes
            namespace: ${TENANT}/${USER_ID}
            tags: ["${CHANNEL}", "${PLAN:none}", "$${literal}", "${REGION}"]
        when_busy: collect
      research:
        use: MYKITS:flow
    routes:
      - agent: notes
      - agent: research
        command: /research
    interfaces:
      web: {}
    request_context: [PLAN]
    sessions:
      tokens: ${TOKENS:4000}
      idle_hours: 2
    limits:
      max_concurrent_turns: 3
      turn_tries: 2
    private_answers: open
"""


async def test_a_gateway_is_made_of_a_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    gateway = obeying(load(write(WHOLE)))
    gateway.interfaces = {"stage": StageChannel()}
    assert [agent.name for agent in gateway.agents] == ["notes", "research"]
    assert gateway.agent.when_busy == "collect"
    assert gateway.parts.player._tries == 2
    async with gateway.lifespan():
        assert await ask(gateway, "alice", "call where") == "T1/alice ['stage', 'none', '${literal}', 'eu']"
        with request_context({"PLAN": "pro"}):
            assert await ask(gateway, "bob", "call where") == "T1/bob ['stage', 'pro', '${literal}', 'eu']"
            monkeypatch.setenv("PLAN", "free")
            monkeypatch.setenv("USER_ID", "root")
            assert await ask(gateway, "bob", "call where") == "T1/bob ['stage', 'pro', '${literal}', 'eu']"
        assert await ask(gateway, "bob", "call where") == "T1/bob ['stage', 'free', '${literal}', 'eu']"
        assert await ask(gateway, "bob", "/research this") == "flow: this"


async def test_what_is_shared_stays_so_and_the_rest_is_each_persons(write: Write) -> None:
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


async def test_arguments_are_of_the_types_that_a_toolkit_names(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
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
        with request_context({"LIMIT": "many"}), pytest.raises(SettingError, match=r"Typed\(limit=…\) cannot be had"):
            await ask(gateway, "alice", "call tell")


def test_instructions_are_those_of_the_request(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    agent = load(write(WHOLE)).agent
    for person in ("alice", "bob"):
        with request_context({"USER_ID": person}):
            assert agent.deep_copy().instructions == f"You keep the notes of {person} in eu."
    assert agent.instructions == "You keep the notes of ${USER_ID} in ${REGION}.".replace("${REGION}", "eu")
    with request_context({"OTHER": 1}), pytest.raises(SettingError, match=r"\$\{USER_ID\} is used in"):
        agent.deep_copy()


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_person_has_instructions_of_their_own_on_every_engine(
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


BROKEN = {
    "no YAML": ("agents: [", "this is no YAML"),
    "nothing": ("", "1:1: 'agents' is missing here."),
    "an unknown key": ("agents: {a: {}}\nagent: x", "2:1: 'agent' is not known here."),
    "an unknown key inside": ("agents:\n  a:\n    modell: x", "3:5: 'modell' is not known here."),
    "a wrong type": ("agents:\n  a:\n    members: 3", "3:14: members: Input should be a valid list."),
    "a number that is none": (
        "agents: {a: {}}\nsessions:\n  tokens: many",
        "3:11: tokens: Input should be a valid integer",
    ),
    "a number where a text is": (
        "agents: {a: {}}\nroutes: [{agent: a}, {agent: a, workspace: 1234}]",
        "2:44: workspace: Input should be a valid string: put it in quotes.",
    ),
    "a word where keys are": ("agents: {a: {}}\nlimits: 3", "2:9: limits: Input should be keys with values"),
    "a word of several": (
        "agents: {a: {}}\nprivate_answers: maybe",
        "2:18: private_answers: Input should be 'alone' or",
    ),
    "a key twice": ("agents: {a: {}}\nagents: {b: {}}", "2:1: 'agents' is there twice."),
    "a variable that is not set": (
        "agents:\n  a:\n    description: In ${NOWHERE}",
        "3:21: ${NOWHERE} is not set in the environment",
    ),
    "one in a block": (
        "agents:\n  a:\n    instructions: |\n      one\n      two ${NOWHERE} three",
        "5:11: ${NOWHERE} is not set",
    ),
    "a name that does not end": ("agents:\n  a:\n    description: $${a} ${b", "3:24: ${ begins no name here"),
    "a default as a shell writes it": (
        "agents:\n  a:\n    description: In ${NOWHERE:-here}",
        "3:21: ${NOWHERE:-…} is a shell's form: the default stands after the colon alone, so write ${NOWHERE:here}.",
    ),
    "an error as a shell writes it": ("agents: {a: {description: '${A:?no A}'}}", "1:28: ${A:?…} is a shell's form"),
    "a name in a default": (
        "agents:\n  a:\n    description: ${NOWHERE:${HERE}}",
        "3:18: ${NOWHERE:…} has a ${…} in its default, which is not expanded: write ${NOWHERE} and set NOWHERE",
    ),
    "a request's name in a default": ("agents: {a: {instructions: '${A:${USER_ID}}'}}", "1:29: ${A:…} has a ${…}"),
    "a name in a key": (
        "agents:\n  ${NAME}:\n    description: x",
        "2:3: ${NAME} is not expanded in a key: write the key out",
    ),
    "a name in a key inside": (
        "agents: {a: {mcp_servers: [{server: 'https://x.test', headers: {'X-${USER_ID}': x}}]}}",
        "1:65: ${USER_ID} is not expanded in a key",
    ),
    "a name that is none": (
        "agents: {a: {}}\nrequest_context: [PLAN, a plan]",
        "2:25: 1: String should match pattern",
    ),
    "a request's name where none is": (
        "agents: {a: {model: 'x:${USER_ID}'}}",
        "1:21: ${USER_ID} is known in a request",
    ),
    "an unknown toolkit": ("agents: {a: {toolkits: [mail]}}", "1:25: There is no toolkit 'mail', only calendar,"),
    "no toolkit": ("agents: {a: {toolkits: ['MYKITS:NoToolkit']}}", "is no class of toolkits."),
    "nothing to import": ("agents: {a: {use: 'nowhere_at_all:x'}}", "1:19: nowhere_at_all:x cannot be imported"),
    "no such name": ("agents: {a: {use: 'MYKITS:nothing'}}", "has no 'nothing'."),
    "an argument that is not taken": (
        "agents:\n  a:\n    toolkits:\n      - use: MYKITS:Notes\n        namespace: x\n        color: red",
        "6:9: Notes takes no argument 'color', only: namespace, tags, store.",
    ),
    "one that is missing": (
        "agents: {a: {toolkits: ['MYKITS:Notes']}}",
        "1:25: Notes needs namespace.",
    ),
    "an argument of the wrong type": (
        "agents:\n  a:\n    toolkits:\n      - use: MYKITS:Typed\n        limit: many",
        "5:16: limit: Input should be a valid integer, unable to parse",
    ),
    "one of neither type": (
        "agents: {a: {toolkits: [{use: gmail, auto_approve: 3}]}}",
        "1:52: auto_approve: Input should be",
    ),
    "one of the wrong type inside": (
        "agents:\n  a:\n    toolkits:\n      - use: MYKITS:Typed\n        limit: 3\n        hours: {mon: [9, noon]}",
        "6:26: 1: Input should be a valid integer",
    ),
    "a member that is not there": ("agents: {a: {members: [b]}}", "1:24: There is no agent 'b'."),
    "agents that ask each other": ("agents: {a: {members: [b]}, b: {members: [a]}}", "The agent 'a' asks itself"),
    "a route to nobody": ("agents: {a: {}}\nroutes: [{agent: b}]", "2:18: There is no agent 'b'."),
    "two agents for one route": (
        "agents: {a: {}, b: {}}\nroutes:\n- {agent: a}\n- {agent: a, command: x}\n- {agent: b, command: /X}",
        "5:3: Another route is for the same: two agents cannot both answer.",
    ),
    "a route of a command that is none": (
        "agents: {a: {}, b: {}}\nroutes:\n- {agent: a}\n- {agent: b, command: new}",
        "4:3: A route is for /new, which the gateway answers itself",
    ),
    "no route for the rest": (
        "agents: {a: {}, b: {}}\nroutes: [{agent: a, channel: web}]",
        "2:9: No route is for all the rest",
    ),
    "agents that nobody asks": ("agents: {a: {}, b: {}}", "1:9: There are 2 agents that nobody asks"),
    "an unknown channel": ("agents: {a: {}}\ninterfaces: {fax: {}}", "There is no channel called 'fax'"),
    "an unknown provider": (
        "agents: {a: {mcp_servers: [{server: 'https://x.test', auth: acme}]}}",
        "1:61: There is no provider 'acme', only: github, google.",
    ),
    "a provider that is none": (
        "agents: {a: {toolkits: [{use: gmail, auth: [google]}]}}",
        "1:44: There is no provider ['google'], only: github, google.",
    ),
    "a provider of which too little is said": (
        "agents: {a: {mcp_servers: [{server: 'https://x.test', auth: acme}]}}\nproviders: {acme: {label: Acme}}",
        "2:19: OAuth2Provider needs authorization_endpoint, token_endpoint, account_endpoint, account_field.",
    ),
    "a channel's argument": ("agents: {a: {}}\ninterfaces:\n  web: {color: red}", "3:9: Web takes no argument 'color'"),
    "an Agent with more": ("agents:\n  a:\n    use: MYKITS:helper\n    model: x", "4:12: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_said_with_its_place(write: Write, name: str) -> None:
    text, expected = BROKEN[name]
    path = write(
        text if "interfaces" in text else f"{text}\ninterfaces: {{web: {{}}}}\n" if text and name != "no YAML" else text
    )
    with pytest.raises(SettingError) as raised:
        load(path)
    told = str(raised.value)
    if expected[0].isdigit():
        expected = f"gateway.yaml:{expected}"
    assert expected in told, told
    assert "mistakes:" not in told, told


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


def test_accounts_are_at_providers_that_the_file_describes(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_all_that_is_wrong_is_said_at_once(write: Write) -> None:
    path = write("agents:\n  a:\n    toolkits: [mail]\n    members: [b]\ninterfaces: {fax: {}, web: {color: red}}")
    with pytest.raises(SettingError) as raised:
        load(path)
    heading, *lines = str(raised.value).splitlines()
    assert heading == "4 mistakes:"
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5", "5"]


def test_what_is_wrong_hides_nothing_else_and_is_said_once(write: Write) -> None:
    path = write("""
        agents:
          one:
            toolkits:
              - us: gmail
              - use: MYKITS:Notes
                namspace: x
              - use: MYKITS:Typed
                limit: many
              - mail
            instructions: ${NOPE} and ${NOPE
          two: {modle: x, engine: nonsense}
          three: 3
        routes:
          - agnt: one
          - {agent: one}
          - {agent: two, chanel: web}
          - {agent: three, channel: web}
          - {agent: four, channel: slack}
          - {agent: two, channel: web}
        interfaces: {web: 3, fax: {}}
        limits: many
        sessions: {tokens: few, hours: 3}
    """)
    with pytest.raises(SettingError) as raised:
        load(path)
    places = [tuple(map(int, line.split(":")[1:3])) for line in str(raised.value).splitlines()[1:]]
    assert places == [
        (5, 9),
        (7, 9),
        (9, 16),
        (10, 9),
        (11, 19),
        (11, 31),
        (12, 9),
        (13, 10),
        (15, 5),
        (15, 5),
        (17, 18),
        (19, 13),
        (20, 5),
        (21, 19),
        (21, 27),
        (22, 9),
        (23, 20),
        (23, 25),
    ], str(raised.value)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["config", *arguments])


def test_the_command_checks_and_shows_a_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("MY_TOKEN", "s3cret-token")
    path = write(WHOLE)
    checked = invoke("check", str(path))
    assert checked.exit_code == 0, checked.exception
    secret = "secret_key: s3cret-key\ndatabase: postgresql://me:s3cret-db@host/x\n"
    mcp = "agents: {a: {description: '${MY_TOKEN}', mcp_servers: [{server: 'https://x.test', headers: {A: s3cret}}]}}\n"
    shown = invoke("show", str(write(secret + mcp))).stdout
    assert "s3cret" not in shown
    assert yaml.safe_load(shown)["database"] == "postgresql://me:***@host/x"
    whole = yaml.safe_load(invoke("show", str(write(WHOLE))).stdout)
    assert whole["sessions"] == {"tokens": 4000, "idle_hours": 2.0}
    assert whole["agents"]["notes"]["toolkits"][0]["namespace"] == "${TENANT}/${USER_ID}"
    assert isinstance(invoke("check", str(write("agents: {}"))).exception, SettingError)


def test_what_came_from_the_environment_is_not_shown(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTRY_DSN", "PASSPHRASE", "WORD", "LIMIT"):
        monkeypatch.setenv(name, f"s3cret-{name}" if name != "LIMIT" else "31337")
    text = """
        agents:
          a:
            description: In ${WORD}
            instructions: See https://docs.test/a?code=s3cret-code#top or https://s3cret-user@docs.test/ please.
            mcp_servers:
              - server: https://mcp.test/sse?api=s3cret-query
                name: ${NOT_SET:a default}
              - server: python server.py
                env: {DSN: "${SENTRY_DSN}", PHRASE: s3cret-phrase}
        interfaces: {web: {}}
        base_url: https://bot.test
        database: postgresql://me:s3cret-db@host/x?sslpassword=s3cret-ssl
        sessions: {tokens: "${LIMIT}"}
        """
    shown = invoke("show", str(write(dedent(text)))).stdout
    assert "s3cret" not in shown, shown
    assert "31337" not in shown
    whole = yaml.safe_load(shown)
    assert whole["base_url"] == "https://bot.test"
    assert whole["database"] == "postgresql://me:***@host/x?***"
    agent = whole["agents"]["a"]
    assert agent["instructions"] == "See https://docs.test/a?*** or https://***@docs.test/ please."
    assert agent["mcp_servers"][0] == {"server": "https://mcp.test/sse?***", "name": "a default"}
    assert agent["mcp_servers"][1]["env"] == {"DSN": "***", "PHRASE": "***"}


def test_editors_are_given_a_schema() -> None:
    found = json.loads(invoke("schema").stdout)
    assert found["additionalProperties"] is False
    assert set(found["properties"]) >= {"agents", "interfaces", "routes", "sessions", "limits"}
    assert found["$defs"]["AgentConfig"]["properties"]["use"]["description"].startswith("Where a flow")
