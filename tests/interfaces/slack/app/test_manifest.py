"""The manifest has exactly what the features in use need, in a form that Slack accepts."""

from typing import Any

import pytest
from peers import seed
from support.slack_manifest import Manifest, accepted

from gateway import SettingError
from gateway.channels import BotProfile
from interfaces.slack import Slack
from interfaces.slack.app.features import AppFeatures
from interfaces.slack.app.manifest import Addresses, app_manifest

BASE = "https://bot.test"
PROFILE = BotProfile(BASE, "Mail assistant", "I read your mail.")
ADDRESSES = Addresses("/slack/events", "/slack/commands", "/slack/interactivity", "/slack/back", "SLACK_APP_TOKEN")
ONE = {"bot_token": "xoxb-1"}


def manifest_of(profile: BotProfile = PROFILE, **arguments: Any) -> Manifest:
    slack = Slack(signing_secret=seed.SLACK_SIGNING_SECRET, **{**ONE, **arguments})
    return accepted(slack.manifest(profile))


def test_an_app_in_one_workspace_gets_its_addresses() -> None:
    manifest = manifest_of()
    assert manifest.display_information.name == manifest.features.bot_user.display_name == "Mail assistant"
    assert manifest.display_information.description == "I read your mail."
    assert manifest.request_urls == {f"{BASE}/slack/{path}" for path in ("events", "commands", "interactivity")}
    assert manifest.commands == ["/new", "/stop", "/accounts", "/disconnect"]
    assert {"app_mention", "message.im", "message.mpim", "app_home_opened"} <= manifest.events
    assert manifest.settings.interactivity.is_enabled
    assert not manifest.settings.token_rotation_enabled
    assert not manifest.settings.org_deploy_enabled
    assert manifest.oauth_config.redirect_urls is None


@pytest.mark.parametrize(
    ("arguments", "scopes", "events"),
    [
        ({"agent_view": True}, {"assistant:write"}, {"agent_session_stopped"}),
        ({"answer_in_joined_threads": True}, set(), {"message.channels", "message.groups"}),
        ({"own_workspaces": ["T1"]}, {"users:read.email"}, set()),
        ({"feedback_buttons": True}, set(), set()),  # the interactivity, which every app has
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, dict) else "",
)
def test_a_feature_adds_only_what_it_needs(arguments: dict[str, Any], scopes: set[str], events: set[str]) -> None:
    without, manifest = manifest_of(), manifest_of(**arguments)
    assert manifest.scopes - without.scopes == scopes
    assert manifest.events - without.events == events


def test_an_app_without_its_own_home_has_no_home_tab_and_is_not_told_of_it() -> None:
    manifest = manifest_of(app_home=False)
    assert not manifest.features.app_home.home_tab_enabled
    assert manifest.features.app_home.messages_tab_enabled
    assert "app_home_opened" not in manifest.events
    assert "app_home_opened" in manifest_of(app_home=False, agent_view=True).events  # for suggested prompts


def test_an_agent_has_the_agent_view() -> None:
    assert manifest_of().features.agent_view is None
    view = manifest_of(agent_view=True).features.agent_view
    assert view is not None
    assert view.agent_description == "I read your mail."


def test_an_app_without_accounts_has_no_commands_for_accounts() -> None:
    assert manifest_of(BotProfile(BASE, "Bot", has_accounts=False)).commands == ["/new", "/stop"]


def test_a_command_that_chooses_an_agent_is_a_slash_command() -> None:
    profile = BotProfile(BASE, "Bot", commands={"notes": "I keep your notes."}, has_accounts=False)
    manifest = manifest_of(profile)
    assert manifest.commands == ["/new", "/stop", "/notes"]
    assert manifest.features.slash_commands[-1].description == "I keep your notes."


def test_an_app_for_many_workspaces_can_be_installed_by_organizations_too() -> None:
    slack = Slack(signing_secret=seed.SLACK_SIGNING_SECRET, client_id="1.2", client_secret="s3cret-client")
    manifest = accepted(slack.manifest(PROFILE))
    assert manifest.oauth_config.redirect_urls == [f"{BASE}/slack/oauth_redirect"]
    assert manifest.settings.org_deploy_enabled
    assert "team_access_revoked" in manifest.events


def test_a_named_app_has_addresses_of_its_own() -> None:
    manifest = manifest_of(name="sales")
    assert manifest.request_urls == {f"{BASE}/slack/sales/{path}" for path in ("events", "commands", "interactivity")}


def test_long_texts_are_cut_to_what_slack_takes() -> None:
    manifest = manifest_of(BotProfile(BASE, "n" * 90, "d\n" * 500, {"c": "x" * 3000}), agent_view=True)
    assert manifest.display_information.name == f"{'n' * 34}…"
    assert len(manifest.display_information.description or "") == 140
    assert manifest_of(BotProfile(BASE, "Bot")).display_information.description is None


def test_a_command_that_is_too_long_for_slack_is_named() -> None:
    with pytest.raises(SettingError, match=f"the command /{'c' * 32}: choose a shorter one"):
        manifest_of(BotProfile(BASE, "Bot", commands={"c" * 32: "x"}))


@pytest.mark.parametrize("base_url", [None, BASE])
def test_an_app_with_an_app_level_token_uses_socket_mode_and_needs_no_address(base_url: str | None) -> None:
    manifest = manifest_of(BotProfile(base_url, "Bot"), app_token="xapp-1")
    assert manifest.settings.socket_mode_enabled
    assert manifest.request_urls == {None}


def test_without_an_address_and_without_socket_mode_the_error_names_both_ways() -> None:
    with pytest.raises(SettingError, match=r"UNDERSTUDY_BASE_URL is not set.*SLACK_SALES_APP_TOKEN"):
        manifest_of(BotProfile(None, "Bot"), name="sales")


def test_people_who_install_the_app_are_sent_back_to_an_address_in_socket_mode_too() -> None:
    features = AppFeatures(socket_mode=True, many_workspaces=True)
    with pytest.raises(SettingError, match="Slack sends people there after they install the app"):
        app_manifest(features, BotProfile(None, "Bot"), ADDRESSES)
    manifest = accepted(app_manifest(features, PROFILE, ADDRESSES))
    assert manifest.oauth_config.redirect_urls == [f"{BASE}/slack/back"]
    assert manifest.request_urls == {None}
