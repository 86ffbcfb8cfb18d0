"""Everything that is wrong with an operator's file and its settings is said at once."""

from pathlib import Path

import pytest

from gateway.configuration import load
from gateway.configuration.loader import load_gateway
from oauth import SettingError
from oauth.settings import each_error, gathered_errors, setting_of
from toolkits import CloneError

WHOLE = """
from gateway import Agent, Gateway
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth.google import GoogleAuth
from toolkits.google import Gmail

google = GoogleAuth()
agent = Agent(toolkits=[Gmail(auth=google)])
gateway = Gateway(agent, interfaces=[Slack(), Telegram(), Telegram(name="support"), WhatsApp()])
"""
NAMED = [
    "GOOGLE_CLIENT_ID is not set",
    "GOOGLE_CLIENT_SECRET is not set",
    "UNDERSTUDY_MODEL is not set",
    "SLACK_APP_TOKEN is not set",
    "SLACK_BOT_TOKEN is not set",
    "TELEGRAM_BOT_TOKEN is not set",
    "TELEGRAM_SUPPORT_BOT_TOKEN is not set",
    "TWILIO_ACCOUNT_SID is not set",
    "TWILIO_AUTH_TOKEN is not set",
    "TWILIO_WHATSAPP_FROM is not set",
    "UNDERSTUDY_SECRET_KEY is not set",
]


@pytest.fixture(autouse=True)
def in_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def errors(code: str) -> list[str]:
    """Return the lines of the error with which a Python file is refused."""
    Path("bot.py").write_text(code)
    with pytest.raises(SettingError) as raised:
        load_gateway("bot.py")
    return str(raised.value).splitlines()


def test_a_file_names_all_settings_that_are_missing() -> None:
    first, *lines = errors(WHOLE)
    assert first == f"{len(NAMED)} errors:"
    assert [line.partition(".")[0] for line in lines] == NAMED


def test_malformed_settings_are_named_beside_missing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "987654")
    monkeypatch.setenv("UNDERSTUDY_MODEL", "nonsense")
    monkeypatch.setenv("UNDERSTUDY_BASE_URL", "http://bot.example.com")
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "many")
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", "short")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", "mysql://somewhere/understudy")
    text = "\n".join(errors(WHOLE))
    for named in (
        "GOOGLE_CLIENT_ID is not set",
        "TELEGRAM_BOT_TOKEN is malformed",
        "TELEGRAM_SUPPORT_BOT_TOKEN is not set",
        "UNDERSTUDY_BASE_URL is malformed (found 'http://bot.example.com')",
        "UNDERSTUDY_TURN_TRIES is malformed (found 'many')",
        "The model 'nonsense'",
        "UNDERSTUDY_SECRET_KEY: key 1",
        "names a mysql database",
    ):
        assert text.count(named) == 1, text
    assert "987654" not in text


def test_errors_of_the_settings_are_named_beside_an_error_of_the_file() -> None:
    lines = errors("from oauth.google import GoogleAuth\ngoogle = GoogleAuth()\ngateway = nothing\n")
    assert lines[0] == "3 errors:"
    assert lines[-1] == f"{Path('bot.py').resolve()}:3: NameError: name 'nothing' is not defined"


def test_an_agents_file_names_its_channels_and_its_model() -> None:
    text = "\n".join(errors("from gateway import Agent\nagent = Agent()\n"))
    assert "UNDERSTUDY_MODEL is not set" in text
    assert "No channel is set up" in text


def test_two_bots_without_tokens_are_not_taken_for_the_same_bot() -> None:
    code = WHOLE.replace('Telegram(), Telegram(name="support"), WhatsApp()', "Slack(name='sales')")
    assert "set up as the same" not in "\n".join(errors(code))


def test_a_single_error_keeps_its_class() -> None:
    Path("bot.py").write_text(
        "import threading\nfrom gateway import Agent, Gateway\nfrom toolkits import Toolkit\n"
        "class Kit(Toolkit):\n    def __init__(self):\n        self.lock = threading.Lock()\n"
        "gateway = Gateway(Agent(model='test', toolkits=[Kit()]))\n"
    )
    with pytest.raises(CloneError, match=r"Kit\.lock"):
        load_gateway("bot.py")


def test_a_yaml_file_names_all_settings_of_a_channel_at_its_place() -> None:
    Path("bot.yaml").write_text("agents: {a: {model: test}}\ninterfaces: {telegram: {}, whatsapp: {}}\n")
    with pytest.raises(SettingError) as raised:
        load_gateway("bot.yaml")
    first, telegram, *whatsapp = str(raised.value).splitlines()
    assert first == "4 mistakes:"
    assert telegram.startswith("bot.yaml:2:24: TELEGRAM_BOT_TOKEN is not set")
    assert [line.partition(" ")[2].partition(".")[0] for line in whatsapp] == NAMED[7:10]


def test_the_mistakes_of_a_yaml_file_are_said_together_with_what_the_gateway_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_CLIENT_ID", "id")
    monkeypatch.setenv("GOOGLE_CLIENT_SECRET", "secret")
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "many")
    Path("bot.yaml").write_text(
        "agents: {a: {model: test, toolkits: [gmail]}}\ninterfaces: {telegram: {}, whatsapp: {pollng: true}}\n"
    )
    with pytest.raises(SettingError) as raised:
        load_gateway("bot.yaml")
    assert [line.partition(".")[0] for line in str(raised.value).splitlines()[1:] if "yaml" not in line] == [
        "UNDERSTUDY_TURN_TRIES is malformed (found 'many'): Input should be a valid integer, unable to parse string as "
        "an integer",
        "UNDERSTUDY_SECRET_KEY is not set",
    ]
    assert "bot.yaml:2:39: WhatsApp takes no argument 'pollng'" in str(raised.value)
    assert "bot.yaml:2:24: TELEGRAM_BOT_TOKEN is not set" in str(raised.value)


def test_a_yaml_file_without_a_sound_agent_names_the_settings_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_TURN_TRIES", "many")
    Path("bot.yaml").write_text("agents: {a: {model: test, instrctions: hello}}\ninterfaces: {telegram: {}}\n")
    with pytest.raises(SettingError, match=r"(?s)TURN_TRIES is malformed.*'instrctions' is not.*TELEGRAM_BOT_TOKEN is"):
        load("bot.yaml")


def test_a_mistake_in_a_setting_of_a_yaml_file_is_not_said_twice() -> None:
    Path("bot.yaml").write_text("agents: {a: {model: test, toolkits: [gmail]}}\nsecret_key: ${MY_KEY}\n")
    with pytest.raises(SettingError, match="MY_KEY") as raised:
        load_gateway("bot.yaml")
    assert "UNDERSTUDY_SECRET_KEY" not in str(raised.value)


@pytest.mark.parametrize("file", ["bot.py", "bot.yaml"])
def test_errors_carry_the_names_of_the_settings_and_whether_they_are_missing(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_WHATSAPP_FROM", "12")
    monkeypatch.setenv("UNDERSTUDY_SECRET_KEY", "short")
    Path("bot.py").write_text(WHOLE)
    Path("bot.yaml").write_text(
        "agents: {a: {toolkits: [gmail]}}\ninterfaces: {slack: {}, telegram: {}, telegram.support: {}, whatsapp: {}}\n"
    )
    with gathered_errors() as errors:
        load_gateway(file)
    about = {setting.name: setting for setting in map(setting_of, each_error(errors)) if setting is not None}
    assert set(about) == {line.split()[0] for line in NAMED}
    assert [name for name in about if not about[name].is_missing] == ["TWILIO_WHATSAPP_FROM", "UNDERSTUDY_SECRET_KEY"]
    assert about["SLACK_BOT_TOKEN"].advice.startswith("It is the Bot User OAuth Token (xoxb-…)")


def test_a_yaml_file_without_channels_names_what_each_channel_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC1")
    Path("bot.yaml").write_text("agents: {a: {model: test}}\n")
    with pytest.raises(SettingError) as raised:
        load_gateway("bot.yaml")
    first, *lines = str(raised.value).splitlines()
    assert first == "3 mistakes:"
    assert [line.split()[1] for line in lines] == ["SLACK_APP_TOKEN", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM"]


def test_a_route_to_an_agent_with_a_mistake_hides_nothing_that_the_gateway_lacks() -> None:
    Path("bot.yaml").write_text(
        "agents: {a: {model: test, toolkits: [gmail]}, b: {model: test, instrctions: hello}}\n"
        "interfaces: {web: {}}\n"
        "routes: [{agent: a}, {agent: b, command: /b}]\n"
    )
    with pytest.raises(SettingError) as raised:
        load_gateway("bot.yaml")
    text = str(raised.value)
    assert "GOOGLE_CLIENT_ID is not set" in text
    assert "UNDERSTUDY_SECRET_KEY is not set" in text
    assert "'instrctions' is not a known key here" in text
    assert text.startswith("4 errors:")
