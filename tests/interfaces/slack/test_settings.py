"""The settings of the channel, and the errors that an operator reads if they are wrong."""

import pytest
from peers import seed
from starlette.routing import Route

from gateway import SettingError
from interfaces.slack import Slack


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"SLACK_APP_TOKEN is not set.*signing secret.*\nSLACK_BOT_TOKEN is not set"):
        Slack()
    with pytest.raises(SettingError, match="SLACK_API_URL is malformed"):
        Slack("xoxb-x", "s", "slack.example.com")


@pytest.mark.parametrize(
    ("given", "named"),
    [(("", "hush"), "SLACK_BOT_TOKEN"), (("xoxb-hush", ""), "SLACK_APP_TOKEN")],
)
def test_an_empty_secret_is_refused(monkeypatch: pytest.MonkeyPatch, given: tuple[str, str], named: str) -> None:
    monkeypatch.delenv(named, raising=False)
    with pytest.raises(SettingError, match=f"{named} is") as raised:
        Slack(*given)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("token", ["xoxb-hush", "hush", "xapp-", "xapp-1-A hush"])
def test_an_app_level_token_of_another_form_is_refused(token: str) -> None:
    with pytest.raises(SettingError, match="SLACK_APP_TOKEN is malformed: it has to begin with xapp-") as raised:
        Slack("xoxb-1", app_token=token)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("name", ["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN"])
def test_any_of_its_settings_adds_the_channel(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert not Slack.configured()
    monkeypatch.setenv(name, "x")
    assert Slack.configured()


def test_without_a_signing_secret_there_are_no_webhooks() -> None:
    assert Slack("xoxb-1", app_token="xapp-1-A1-2-3").routes() == []
    paths = {
        route.path for route in Slack("xoxb-1", "s", app_token="xapp-1-A1-2-3").routes() if isinstance(route, Route)
    }
    assert paths == {"/slack/events", "/slack/commands", "/slack/interactivity"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"bot_token": "xoxb-1", "client_id": "1.2", "client_secret": "s"}, "SLACK_BOT_TOKEN and SLACK_CLIENT_ID"),
        ({"client_id": "1.2"}, "SLACK_CLIENT_SECRET is not set"),
    ],
)
def test_settings_that_contradict_each_other_are_named(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], name: str
) -> None:
    for variable in ("SLACK_BOT_TOKEN", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SettingError, match=name):
        Slack(signing_secret=seed.SLACK_SIGNING_SECRET, **options)


@pytest.mark.parametrize("names", [["SLACK_BOT_TOKEN"], ["SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"]])
def test_the_settings_may_come_from_the_environment_and_are_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, names: list[str]
) -> None:
    for variable in ("SLACK_BOT_TOKEN", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    for variable in (*names, "SLACK_SIGNING_SECRET"):
        monkeypatch.setenv(variable, "x")
    with caplog.at_level("INFO"):
        assert Slack.configured()
        Slack()
    assert caplog.text == ""
