"""The stand-ins for Slack and Twilio refuse buttons that the platforms refuse."""

from typing import Any

import httpx
import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from peers.emulate.control import Json
from peers.emulate.server import Emulate
from peers.seed import ALICE
from peers.webhooks import slack_interactions as interactions


def button(number: int = 0, text: str = "Yes", **fields: Any) -> Json:
    return {"type": "button", "action_id": f"a{number}", "text": {"type": "plain_text", "text": text}, **fields}


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


@pytest.mark.parametrize(
    "block",
    [
        section("x" * 3001),
        section(""),
        {"type": "actions", "elements": []},
        {"type": "actions", "elements": [button(number) for number in range(26)]},
        {"type": "actions", "elements": [button(1), button(1)]},
        {"type": "actions", "elements": [button(text="x" * 76)]},
        {"type": "actions", "elements": [button(value="x" * 2001)]},
        {"type": "actions", "elements": [button(style="plain")]},
        {"type": "actions", "elements": [button(url="https://a.test/" + "x" * 3000)]},
    ],
    ids=["long text", "no text", "none", "26", "the same id", "long label", "long value", "style", "long url"],
)
async def test_slack_refuses_blocks_that_it_does_not_document(emulate: Emulate, block: Json) -> None:
    client = AsyncWebClient(emulate.bot_token, base_url=emulate.slack_url)
    with pytest.raises(SlackApiError, match="invalid_blocks"):
        await client.chat_postMessage(channel=emulate.slack_channel_id, text="x", blocks=[block])
    fine = [section("x" * 3000), {"type": "actions", "elements": [button(number) for number in range(25)]}]
    assert (await client.chat_postMessage(channel=emulate.slack_channel_id, text="x", blocks=fine))["ok"]


async def test_slack_takes_five_messages_at_a_response_url(emulate: Emulate) -> None:
    client = AsyncWebhookClient(f"{emulate.slack.url}/actions/{emulate.slack_channel_id}/{ALICE.slack_id}/1")
    sent = [await client.send(text=str(number), response_type="ephemeral") for number in range(6)]
    assert [answer.status_code for answer in sent] == [200] * 5 + [404]
    assert [each["text"] for each in emulate.slack_ephemerals("alice")] == ["0", "1", "2", "3", "4"]


async def test_bolt_reads_the_person_and_place_of_a_press(emulate: Emulate) -> None:
    client = AsyncWebClient(emulate.bot_token, base_url=emulate.slack_url)
    app = AsyncApp(client=client, signing_secret=emulate.signing_secret, process_before_response=True)
    seen: list[tuple[Any, ...]] = []

    @app.action("question.1")
    async def pressed(ack: Any, context: Any, action: Json) -> None:
        await ack()
        seen.append((context["team_id"], context["user_id"], context["channel_id"], action["value"]))

    async def receive(request: Request) -> Response:
        return await AsyncSlackRequestHandler(app).handle(request)

    server = Starlette(routes=[Route("/", receive, methods=["POST"])])
    body = interactions.body_of(interactions.block_actions(interactions.button("question.1", "abc")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://127.0.0.1") as http:
        assert (await http.post("/", content=body, headers=interactions.headers(body))).status_code == 200
    assert seen == [(emulate.slack_team_id, ALICE.slack_id, emulate.slack_channel_id, "abc")]


ACTIONS = [{"title": "Yes", "id": "q:{{id}}:0"}]


def create(emulate: Emulate, body: str, actions: list[Json], variables: Json) -> httpx.Response:
    types = {"twilio/quick-reply": {"body": body, "actions": actions}}
    template = {"friendly_name": "x", "language": "en", "variables": variables, "types": types}
    auth = (emulate.account_sid, emulate.auth_token)
    return httpx.post(f"{emulate.twilio_url}/v1/Content", json=template, auth=auth, trust_env=False)


@pytest.mark.parametrize(
    ("body", "actions", "variables"),
    [
        ("x" * 1025, ACTIONS, {"id": "1"}),
        ("x", [{"title": "x" * 21, "id": "1"}], {}),
        ("x", [], {}),
        ("{{1}}", ACTIONS, {"id": "1"}),
    ],
    ids=["long body", "long title", "no buttons", "no sample"],
)
def test_twilio_refuses_templates_that_it_does_not_document(
    emulate: Emulate, body: str, actions: list[Json], variables: Json
) -> None:
    assert create(emulate, body, actions, variables).status_code == 400


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ('{"1": "fine", "id": "7"}', None),
        ('{"1": "two\\nlines", "id": "7"}', 21656),
        ('{"1": "a\\ttab", "id": "7"}', 21656),
        ('{"1": "", "id": "7"}', 21656),
        ("no JSON", 21656),
    ],
)
def test_twilio_refuses_variables_that_it_does_not_document(emulate: Emulate, variables: str, code: int | None) -> None:
    sid = create(emulate, "Sure? {{1}}", ACTIONS, {"1": "x", "id": "x"}).json()["sid"]
    message = {"From": emulate.whatsapp_number, "To": f"whatsapp:{ALICE.phone}", "ContentSid": sid}
    answer = httpx.post(
        f"{emulate.twilio_url}/2010-04-01/Accounts/{emulate.account_sid}/Messages.json",
        data={**message, "ContentVariables": variables},
        auth=(emulate.account_sid, emulate.auth_token),
        trust_env=False,
    )
    if code is None:
        assert answer.json()["body"] == "Sure? fine"
        assert emulate.whatsapp_buttons()[0]["actions"] == [{"title": "Yes", "id": "q:7:0"}]
    else:
        assert answer.json()["code"] == code
        assert emulate.whatsapp_messages("alice") == []
