"""A file with all channels, and the answer with which Slack takes its token."""

from collections.abc import Collection

from peers.emulate.server import Emulate

from interfaces.slack.app.features import AppFeatures

BOT = """
from gateway import Agent, Gateway
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth.google import GoogleAuth
from toolkits.google import Gmail

agent = Agent(toolkits=[Gmail(auth=GoogleAuth())])
gateway = Gateway(agent, interfaces=[Slack(), Telegram(), WhatsApp()])
"""


def accept_slack_token(emulate: Emulate, without: Collection[str] = ()) -> None:
    """Answer the next `auth.test` as Slack does, which names the granted scopes in a header.

    Args:
        without: the scopes that the app needs and does not have.
    """
    emulate.slack.heal()
    granted = [scope for scope in AppFeatures(accounts=True).scopes if scope not in without]
    emulate.slack.fail(
        "/api/auth.test",
        200,
        headers={"X-OAuth-Scopes": ",".join(granted)},
        body={"ok": True, "user": "understudy", "team": "Acme", "user_id": "U1", "team_id": "T1"},
    )
