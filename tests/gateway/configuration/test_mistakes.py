"""Mistakes in a YAML file: each is reported with its line and column, and with what to write."""

import pytest
from support.gateway_files import Write

from gateway import SettingError
from gateway.configuration.building import load

BROKEN = {
    "no YAML": ("agents: [", "this is not YAML"),
    "nothing": ("", "1:1: 'agents' is missing here: add it."),
    "an unknown key": ("agents: {a: {}}\nagent: x", "2:1: 'agent' is not a known key here: correct or remove it."),
    "an unknown key inside": (
        "agents:\n  a:\n    modell: x",
        "3:5: 'modell' is not a known key here: correct or remove it.",
    ),
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
    "a key twice": ("agents: {a: {}}\nagents: {b: {}}", "2:1: 'agents' is there twice: remove one."),
    "a variable that is not set": (
        "agents:\n  a:\n    description: In ${NOWHERE}",
        "3:21: ${NOWHERE} is not set in the environment",
    ),
    "one in a block": (
        "agents:\n  a:\n    instructions: |\n      one\n      two ${NOWHERE} three",
        "5:11: ${NOWHERE} is not set",
    ),
    "a name that does not end": (
        "agents:\n  a:\n    description: $${a} ${b",
        "3:24: ${ is not followed by a name and } here",
    ),
    "a default as a shell writes it": (
        "agents:\n  a:\n    description: In ${NOWHERE:-here}",
        "3:21: ${NOWHERE:-…} is the shell's syntax: here the default follows the colon, so write ${NOWHERE:here}.",
    ),
    "an error as a shell writes it": (
        "agents: {a: {description: '${A:?no A}'}}",
        "1:28: ${A:?…} is the shell's syntax",
    ),
    "a name in a default": (
        "agents:\n  a:\n    description: ${NOWHERE:${HERE}}",
        "3:18: ${NOWHERE:…} has a ${…} in its default, which is not expanded: write ${NOWHERE} and set NOWHERE",
    ),
    "a request's name in a default": ("agents: {a: {instructions: '${A:${USER_ID}}'}}", "1:29: ${A:…} has a ${…}"),
    "a name in a key": (
        "agents:\n  ${NAME}:\n    description: x",
        "2:3: ${NAME} is not expanded in a key: write the key in full",
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
        "1:21: ${USER_ID} has a value only in a request",
    ),
    "an unknown toolkit": ("agents: {a: {toolkits: [mail]}}", "1:25: There is no toolkit 'mail', only calendar,"),
    "no toolkit": (
        "agents: {a: {toolkits: ['MYKITS:NoToolkit']}}",
        "is not a Toolkit class: give the path of a subclass",
    ),
    "nothing to import": ("agents: {a: {use: 'nowhere_at_all:x'}}", "1:19: nowhere_at_all:x cannot be imported"),
    "no such name": ("agents: {a: {use: 'MYKITS:nothing'}}", "has no 'nothing': correct the name."),
    "an argument that is not taken": (
        "agents:\n  a:\n    toolkits:\n      - use: MYKITS:Notes\n        namespace: x\n        color: red",
        "6:9: Notes takes no argument 'color', only: namespace, tags, store.",
    ),
    "one that is missing": (
        "agents: {a: {toolkits: ['MYKITS:Notes']}}",
        "1:25: Notes needs namespace: add what is missing.",
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
    "a member that is not there": ("agents: {a: {members: [b]}}", "1:24: There is no agent 'b', only: a."),
    "agents that ask each other": (
        "agents: {a: {members: [b]}, b: {members: [a]}}",
        "The agent 'a' would ask itself, through a, b",
    ),
    "a route to nobody": ("agents: {a: {}}\nroutes: [{agent: b}]", "2:18: There is no agent 'b', only: a."),
    "two agents for one route": (
        "agents: {a: {}, b: {}}\nroutes:\n- {agent: a}\n- {agent: a, command: x}\n- {agent: b, command: /X}",
        "5:3: Another route matches the same messages: remove one, as only one agent can answer.",
    ),
    "a route of a command that is none": (
        "agents: {a: {}, b: {}}\nroutes:\n- {agent: a}\n- {agent: b, command: new}",
        "4:3: A route is for /new, which the gateway answers itself",
    ),
    "no route for the rest": (
        "agents: {a: {}, b: {}}\nroutes: [{agent: a, channel: web}]",
        "2:9: No route matches all other messages",
    ),
    "agents that nobody asks": ("agents: {a: {}, b: {}}", "1:9: There are 2 agents that no other agent asks"),
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
        "2:19: OAuth2Provider needs authorization_endpoint, token_endpoint, account_endpoint, account_field: "
        "add what is missing.",
    ),
    "a channel's argument": ("agents: {a: {}}\ninterfaces:\n  web: {color: red}", "3:9: Web takes no argument 'color'"),
    "a channel that takes no name": (
        "agents: {a: {}}\ninterfaces:\n  web: {}\n  web.support: {}",
        "4:3: The channel web takes no name: there can be only one of it.",
    ),
    "a malformed name": (
        "agents: {a: {}}\ninterfaces:\n  telegram.Support: {bot_token: '1:a', webhook_secret: s}",
        "3:21: Telegram(name='Support'): a name has lower-case letters",
    ),
    "a name in another place": (
        "agents: {a: {}}\ninterfaces:\n  telegram:\n    name: support",
        "4:5: The name is a part of the channel: write telegram.support instead.",
    ),
    "a setting of a channel with a name": (
        "agents: {a: {}}\ninterfaces:\n  telegram.support: {webhook_secret: s}",
        "3:21: TELEGRAM_SUPPORT_BOT_TOKEN is not set.",
    ),
    "two channels that are one bot": (
        "agents: {a: {}}\ninterfaces:\n  telegram: {bot_token: '1:a', webhook_secret: s}\n"
        "  telegram.support: {bot_token: '1:b', webhook_secret: t}",
        "4:3: The channels telegram.support and telegram are set up as the same bot, app or number",
    ),
    "an Agent with more": ("agents:\n  a:\n    use: MYKITS:helper\n    model: x", "4:12: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_reported_with_its_place(write: Write, name: str) -> None:
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


def test_all_mistakes_are_reported_at_once(write: Write) -> None:
    path = write("agents:\n  a:\n    toolkits: [mail]\n    members: [b]\ninterfaces: {fax: {}, web: {color: red}}")
    with pytest.raises(SettingError) as raised:
        load(path)
    heading, *lines = str(raised.value).splitlines()
    assert heading == "4 mistakes:"
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5", "5"]


def test_a_mistake_hides_no_other_and_is_reported_once(write: Write) -> None:
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
