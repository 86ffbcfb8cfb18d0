"""A Slack agent in an app with its own shortcut and modal. tickets.md in this folder explains the setup.

Run it with `understudy serve cookbook/slack/ticket_bot.py`.
"""

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from gateway import Agent, Conversation, Gateway
from interfaces.slack import Slack, authorize

app = AsyncApp(authorize=authorize)
agent = Agent(
    instructions="You help the person who asks to write a good ticket: what is wrong, where, since when. Be brief.",
    name="Ticket bot",
    description="I help you with your tickets.",
    prompts=["What makes a good ticket?", "Make my last ticket clearer"],
)
gateway = Gateway(agent, interfaces=[Slack(app=app, agent_view=True)])

MODAL = {
    "type": "modal",
    "callback_id": "ticket",
    "title": {"type": "plain_text", "text": "New ticket"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "problem",
            "label": {"type": "plain_text", "text": "What is wrong?"},
            "element": {"type": "plain_text_input", "action_id": "text", "multiline": True},
        }
    ],
}


@app.shortcut("new_ticket")
async def ask(ack: Any, shortcut: dict[str, Any], client: AsyncWebClient) -> None:
    """Open the modal."""
    await ack()
    await client.views_open(trigger_id=shortcut["trigger_id"], view=MODAL)


@app.view("ticket")
async def take(ack: Any, body: dict[str, Any], view: dict[str, Any], client: AsyncWebClient) -> None:
    """Take a submitted ticket, and confirm it to the person in a direct message."""
    problem = view["state"]["values"]["problem"]["text"]["value"]
    if len(problem.split()) < 3:
        await ack(response_action="errors", errors={"problem": "Say a little more, please."})
        return
    await ack()
    opened = await client.conversations_open(users=body["user"]["id"])
    direct = Conversation("slack", body["team"]["id"], opened["channel"]["id"], shared=False)
    await gateway.send(direct, f"Your ticket is noted:\n\n> {problem}", key=f"ticket:{view['id']}")
