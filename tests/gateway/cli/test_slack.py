"""`understudy slack manifest` prints what creates the app, before there is any token."""

import json
from pathlib import Path

import pytest
from commands import run
from e2e.served import ROOT
from support.slack_manifest import Manifest, accepted

from gateway.configuration.loader import load_gateway
from oauth import SettingError

pytestmark = pytest.mark.usefixtures("processes")

BASE = "https://bot.example.com"
ALWAYS = {
    "app_mentions:read",
    "channels:history",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "users:read",
}
ACCOUNTS = ["/new", "/stop", "/accounts", "/disconnect"]
SEVERAL = """
from gateway import Agent, Gateway, Route
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp

agent = Agent(name="Bot")
notes = Agent(name="Notes", description="I keep your notes.")
interfaces = [Slack(name="sales"), Slack(name="support", agent_view=True), Telegram(), WhatsApp()]
gateway = Gateway(agent, interfaces, routes=[Route(notes, "slack.sales", "T1", "/notes"), Route(notes, "telegram")])
"""


def printed(directory: Path, *arguments: str, **env: str) -> Manifest:
    ended = run("slack", "manifest", *arguments, directory=directory, **env)
    assert ended.returncode == 0, ended.stderr
    assert "https://api.slack.com/apps?new_app=1" in ended.stderr
    assert not list(directory.glob("*.db"))
    return accepted(json.loads(ended.stdout))


@pytest.mark.parametrize(
    ("recipe", "name", "scopes", "commands"),
    [
        ("slack/gmail_agent.py", "Mail assistant", ALWAYS, ACCOUNTS),
        ("slack/thread_bot.py", "Thread bot", ALWAYS, ["/new", "/stop"]),
        ("slack/ticket_bot.py", "Ticket bot", ALWAYS | {"assistant:write"}, ["/new", "/stop"]),
        ("research/research_bot.py", "Researcher", ALWAYS, ["/new", "/stop"]),
        ("engines/three_engines.py", "Three engines", ALWAYS, ["/new", "/stop"]),
    ],
)
def test_the_manifest_of_a_recipe_is_printed_without_any_token(
    tmp_path: Path, recipe: str, name: str, scopes: set[str], commands: list[str]
) -> None:
    manifest = printed(tmp_path, str(ROOT / "cookbook" / recipe), UNDERSTUDY_BASE_URL=BASE)
    assert manifest.features.bot_user.display_name == name
    assert manifest.scopes == scopes
    assert manifest.commands == commands
    assert manifest.request_urls == {f"{BASE}/slack/{path}" for path in ("events", "commands", "interactivity")}
    assert (manifest.features.agent_view is not None) == ("assistant:write" in scopes)
    assert ("user_change" in manifest.events) == ("/accounts" in commands)


def test_every_recipe_with_slack_is_tested() -> None:
    with_slack = {str(path.relative_to(ROOT / "cookbook")) for path in (ROOT / "cookbook").glob("*/*.py")
                  if "Slack(" in path.read_text()}  # fmt: skip
    (marks,) = [m for m in test_the_manifest_of_a_recipe_is_printed_without_any_token.pytestmark
                if m.name == "parametrize"]  # type: ignore[attr-defined] # fmt: skip
    assert with_slack == {case[0] for case in marks.args[1]}


def test_without_a_file_the_manifest_is_that_of_slack_with_its_defaults(tmp_path: Path) -> None:
    manifest = printed(tmp_path, UNDERSTUDY_BASE_URL=BASE, SLACK_OWN_WORKSPACES="T012AB3CD")
    assert manifest.scopes == ALWAYS | {"users:read.email"}
    assert manifest.commands == ACCOUNTS


def test_an_app_token_makes_it_an_app_without_addresses(tmp_path: Path) -> None:
    manifest = printed(tmp_path, str(ROOT / "cookbook" / "slack" / "gmail_agent.py"), SLACK_APP_TOKEN="xapp-later")
    assert manifest.settings.socket_mode_enabled
    assert manifest.request_urls == {None}


def test_a_client_id_makes_it_an_app_for_many_workspaces(tmp_path: Path) -> None:
    manifest = printed(tmp_path, UNDERSTUDY_BASE_URL=BASE, SLACK_CLIENT_ID="later")
    assert manifest.oauth_config.redirect_urls == [f"{BASE}/slack/oauth_redirect"]


@pytest.mark.parametrize("agent", ["agents: {a: {description: 'I am ${WHO}.'}}", "agent = Agent()"])
def test_a_file_that_names_no_channel_gets_slack(tmp_path: Path, agent: str) -> None:
    file = tmp_path / ("bot.yaml" if agent.startswith("agents") else "bot.py")
    file.write_text(agent if file.suffix == ".yaml" else f"from gateway import Agent\n{agent}\n")
    assert printed(tmp_path, file.name, UNDERSTUDY_BASE_URL=BASE).commands == ["/new", "/stop"]


def test_one_of_several_interfaces_is_chosen_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(SEVERAL)
    sales = printed(tmp_path, "bot.py", "--name", "sales", UNDERSTUDY_BASE_URL=BASE)
    support = printed(tmp_path, "bot.py", "--name", "support", UNDERSTUDY_BASE_URL=BASE)
    assert f"{BASE}/slack/sales/events" in sales.request_urls
    assert sales.commands == ["/new", "/stop", "/notes"]
    assert support.commands == ["/new", "/stop"]
    assert support.features.agent_view is not None
    for arguments in ([], ["--name", "other"]):
        ended = run("slack", "manifest", "bot.py", *arguments, directory=tmp_path, UNDERSTUDY_BASE_URL=BASE)
        assert ended.returncode == 2
        assert "say which by --name sales or --name support" in ended.stderr


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("from gateway import Agent, Gateway\ngateway = Gateway(Agent())\n", "has no Slack interface"),
        ("from interfaces.slack import Slack\nfrom gateway import *\ngateway = Gateway(Agent(), [Slack()])\n",
         "UNDERSTUDY_BASE_URL is not set"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, file: str, named: str) -> None:
    (tmp_path / "bot.py").write_text(file)
    ended = run("slack", "manifest", "bot.py", directory=tmp_path)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert ended.stdout == ""


def test_only_this_command_does_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNDERSTUDY_MODEL", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match="is not set"):
        load_gateway(str(ROOT / "cookbook" / "slack" / "thread_bot.py"))
