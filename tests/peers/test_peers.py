"""The stand-ins answer the platforms' own client libraries as the platforms do."""

import json
from importlib.resources import files
from typing import Any

import httpx
import pytest
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import Flow
from googleapiclient.discovery import build_from_document
from openai import AsyncOpenAI, InternalServerError
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from peers.aimock import Aimock, calls_tool, says
from peers.emulate.server import Emulate
from peers.seed import ALICE, BOB, CANARY, TWILIO_AUTH_TOKEN, Person
from peers.serving import Receiver
from peers.webhooks import twilio_webhook

READ_MAIL = "https://www.googleapis.com/auth/gmail.readonly"
SCOPES = ["openid", "https://www.googleapis.com/auth/userinfo.email", READ_MAIL]


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def google_flow(emulate: Emulate, receiver: Receiver) -> Flow:
    emulate.connect(redirect_uris=[f"{receiver.url}/callback"])
    web = {
        "client_id": emulate.client_id,
        "client_secret": emulate.client_secret,
        "auth_uri": emulate.google_auth_uri,
        "token_uri": emulate.google_token_uri,
    }
    return Flow.from_client_config({"web": web}, SCOPES, redirect_uri=f"{receiver.url}/callback")


def signed_in(emulate: Emulate, receiver: Receiver, person: Person) -> Credentials:
    flow = google_flow(emulate, receiver)
    url, state = flow.authorization_url(access_type="offline", prompt="consent")
    assert emulate.consent(url, person.email).status_code == 200
    back = receiver.requests[-1].query
    assert back["state"] == state
    flow.fetch_token(code=back["code"], include_client_id=True)
    return flow.credentials


def google_api(emulate: Emulate, name: str, credentials: Credentials) -> Any:
    document = json.loads((files("googleapiclient") / f"discovery_cache/documents/{name}.json").read_text())
    return build_from_document({**document, "rootUrl": f"{emulate.google_url}/"}, credentials=credentials)


def mails(emulate: Emulate, credentials: Credentials) -> str:
    messages = google_api(emulate, "gmail.v1", credentials).users().messages()
    found = messages.list(userId="me").execute()["messages"]
    return "".join(messages.get(userId="me", id=each["id"]).execute()["snippet"] for each in found)


@pytest.mark.parametrize("person", [ALICE, BOB])
def test_google_shows_each_person_their_own_mail(emulate: Emulate, receiver: Receiver, person: Person) -> None:
    seen = mails(emulate, signed_in(emulate, receiver, person))
    other = BOB if person is ALICE else ALICE
    assert all(person.marker("MAIL", number) in seen for number in (1, 2, 3))
    assert other.marker("MAIL", 1) not in seen
    assert CANARY not in seen
    assert {call.person for call in emulate.google.calls("/messages")} == {person.email}


def test_google_shows_each_person_their_own_calendar_and_files(emulate: Emulate, receiver: Receiver) -> None:
    credentials = signed_in(emulate, receiver, ALICE)
    events = google_api(emulate, "calendar.v3", credentials).events().list(calendarId="primary").execute()
    drive = google_api(emulate, "drive.v3", credentials).files().list().execute()
    assert sorted(item["summary"] for item in events["items"]) == [f"ALICE-EVENT-{n}" for n in (1, 2, 3)]
    assert {item["name"] for item in drive["files"]} == {f"ALICE-FILE-{n}.txt" for n in (1, 2, 3)}


def test_google_refuses_an_unknown_token(emulate: Emulate) -> None:
    headers = {"Authorization": "Bearer never-issued"}
    answer = httpx.get(f"{emulate.google_url}/gmail/v1/users/me/messages", headers=headers)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_google_gives_a_new_access_token_after_a_revoked_one(emulate: Emulate, receiver: Receiver) -> None:
    credentials = signed_in(emulate, receiver, ALICE)
    stale = credentials.token
    assert stale
    emulate.revoke(stale)
    assert ALICE.marker("MAIL", 1) in mails(emulate, credentials)
    assert credentials.token != stale


def test_a_person_can_refuse_consent_or_grant_fewer_scopes(emulate: Emulate, receiver: Receiver) -> None:
    url, state = google_flow(emulate, receiver).authorization_url()
    emulate.deny(url)
    assert receiver.requests[-1].query == {"error": "access_denied", "state": state}

    flow = google_flow(emulate, receiver)
    url, _ = flow.authorization_url()
    emulate.consent(url, ALICE.email, scope="openid")
    code = receiver.requests[-1].query["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": flow.code_verifier or ""}
    client = {"client_id": emulate.client_id, "client_secret": emulate.client_secret}
    granted = httpx.post(emulate.google_token_uri, data={**form, **client}).json()
    assert granted["scope"] == "openid"


async def test_slacks_client_posts_replies_and_ephemeral_messages(emulate: Emulate) -> None:
    client = AsyncWebClient(emulate.bot_token, base_url=emulate.slack_url)
    me = await client.auth_test()
    assert (me["user_id"], me["bot_id"]) == (emulate.slack_bot_user_id, emulate.slack_bot_id)
    assert me["team_id"] == emulate.slack_team_id

    asked = emulate.slack_post("alice", "general", "hello")
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "hi"}}
    await client.chat_postMessage(channel="general", text="hi", thread_ts=asked, blocks=[section])
    replies = await client.conversations_replies(channel=emulate.slack_channel_id, ts=asked)
    assert [message["text"] for message in replies["messages"]] == ["hello", "hi"]
    assert emulate.slack_said(emulate.slack_channel_id) == ["hi"]

    direct = (await client.conversations_open(users=ALICE.slack_id))["channel"]["id"]
    assert direct == emulate.slack_dm("alice")
    await client.chat_postEphemeral(channel=emulate.slack_channel_id, user=ALICE.slack_id, text="psst")
    assert [message["text"] for message in emulate.slack_ephemerals("alice")] == ["psst"]
    assert emulate.slack_ephemerals("bob") == []


async def test_slacks_client_streams_a_message(emulate: Emulate) -> None:
    client = AsyncWebClient(emulate.bot_token, base_url=emulate.slack_url)
    direct = emulate.slack_dm("alice")
    asked = emulate.slack_post("alice", direct, "tell me")
    stream = await client.chat_stream(channel=direct, thread_ts=asked, buffer_size=4)
    await client.assistant_threads_setStatus(channel_id=direct, thread_ts=asked, status="thinks")
    for piece in ("once ", "upon ", "a time"):
        await stream.append(markdown_text=piece)
    await stream.stop()
    assert emulate.slack_said(direct, asked) == ["once upon a time"]


async def test_slack_answers_with_scripted_failures_and_refuses_unknown_methods_and_tokens(emulate: Emulate) -> None:
    client = AsyncWebClient(emulate.bot_token, base_url=emulate.slack_url)
    limited = {"ok": False, "error": "ratelimited"}
    emulate.slack.fail("/api/chat.postMessage", 429, headers={"Retry-After": "3"}, body=limited)
    emulate.slack.fail("/api/chat.postMessage", 500, after=True)
    for _ in range(2):
        with pytest.raises(SlackApiError) as error:
            await client.chat_postMessage(channel="general", text="once")
        assert error.value.response.status_code in (429, 500)
    assert emulate.slack_said(emulate.slack_channel_id) == ["once"]
    with pytest.raises(SlackApiError, match="unknown_method"):
        await client.api_call("no.such.method")
    with pytest.raises(SlackApiError, match="not_authed"):
        await AsyncWebClient("xoxb-unknown", base_url=emulate.slack_url).auth_test()


def test_slack_sends_signed_events_for_conversations_that_the_bot_is_in(emulate: Emulate, receiver: Receiver) -> None:
    emulate.connect(slack_events_url=f"{receiver.url}/events")
    private = emulate.slack_call("conversations.open", BOB.slack_token, users=ALICE.slack_id)
    emulate.slack_post("bob", private["channel"]["id"], "for alice alone")
    mention = f"{emulate.slack_mention} hello"
    parent = emulate.slack_post("alice", "general", mention)
    emulate.slack_post("bob", "general", "me too", thread_ts=parent)
    emulate.slack_post("alice", emulate.slack_dm("alice"), "in private")
    emulate.slack_call("chat.postMessage", channel="general", text="mine")
    payloads = [request.json for request in receiver.wait_for(5)]
    verifier = SignatureVerifier(emulate.signing_secret)
    assert all(verifier.is_valid_request(request.body, request.headers) for request in receiver.requests)
    events = [payload["event"] for payload in payloads]
    assert [(event["type"], event["text"], event.get("channel_type")) for event in events] == [
        ("message", mention, "channel"),
        ("app_mention", mention, None),
        ("message", "me too", "channel"),
        ("message", "in private", "im"),
        ("message", "mine", "channel"),
    ]
    assert events[0]["ts"] == events[1]["ts"]
    assert payloads[0]["event_id"] != payloads[1]["event_id"]
    assert events[2]["parent_user_id"] == ALICE.slack_id
    assert events[4]["bot_id"] == emulate.slack_bot_id
    assert payloads[0]["authorizations"][0]["user_id"] == emulate.slack_bot_user_id


def test_slack_repeats_a_delivery_with_the_same_event(emulate: Emulate, receiver: Receiver) -> None:
    emulate.connect(slack_events_url=f"{receiver.url}/events")
    emulate.slack_post("alice", "general", "hello")
    emulate.slack_wait_for_deliveries()
    assert emulate.slack_redeliver().status_code == 200
    first, again = receiver.wait_for(2)
    assert again.json == first.json
    assert again.headers["x-slack-retry-num"] == "1"


async def test_the_slack_app_is_installed_into_a_workspace(emulate: Emulate, receiver: Receiver) -> None:
    back = f"{receiver.url}/slack/oauth"
    emulate.connect(redirect_uris=[back])
    asked = {"client_id": emulate.slack_client_id, "scope": "chat:write", "state": "s"}
    url = httpx.URL(emulate.slack_authorize_url, params={**asked, "redirect_uri": back})
    emulate.consent(str(url), ALICE.email)
    client = {"client_id": emulate.slack_client_id, "client_secret": emulate.slack_client_secret}
    code = receiver.requests[-1].query["code"]
    done = await AsyncWebClient(base_url=emulate.slack_url).oauth_v2_access(**client, code=code)
    me = await AsyncWebClient(done["access_token"], base_url=emulate.slack_url).auth_test()
    assert (done["team"]["id"], me["bot_id"]) == (emulate.slack_team_id, emulate.slack_bot_id)


def test_whatsapp_messages_are_received_sent_and_confirmed(emulate: Emulate, receiver: Receiver) -> None:
    emulate.connect(sms_url=f"{receiver.url}/whatsapp")
    sid = emulate.whatsapp_post("alice", "hello")
    webhook = receiver.requests[-1]
    validator = RequestValidator(emulate.auth_token)
    assert webhook.form["MessageSid"] == sid
    assert validator.validate(f"{receiver.url}/whatsapp", webhook.form, webhook.headers["x-twilio-signature"])
    assert emulate.whatsapp_redeliver().status_code == 200
    assert receiver.requests[-1].body == webhook.body

    client = Client(emulate.account_sid, emulate.auth_token)
    client.api.base_url = emulate.twilio_url
    answer = {"from_": emulate.whatsapp_number, "to": webhook.form["From"], "body": "hi"}
    sent = client.messages.create(**answer, status_callback=f"{receiver.url}/status?key=k#rc=1")
    receiver.wait_for(4)
    emulate.whatsapp_status(sent.sid, "undelivered", 63016)
    assert [message["body"] for message in emulate.whatsapp_messages("alice")] == ["hi"]
    assert emulate.whatsapp_messages("bob") == []
    reports = [request.form for request in receiver.requests if request.path == "/status"]
    assert [each["MessageStatus"] for each in reports] == ["sent", "delivered", "undelivered"]
    assert reports[-1]["ErrorCode"] == "63016"
    signature = receiver.requests[-1].headers["x-twilio-signature"]
    assert validator.validate(f"{receiver.url}/status?key=k", reports[-1], signature)

    path = f"/2010-04-01/Accounts/{emulate.account_sid}/Messages.json"
    emulate.twilio.fail(path, 429, body={"code": 20429, "message": "Too Many Requests", "status": 429})
    with pytest.raises(TwilioRestException) as error:
        client.messages.create(**answer)
    assert error.value.code == 20429


def test_twilios_validator_accepts_our_signatures_and_refuses_forged_ones(receiver: Receiver) -> None:
    url = f"{receiver.url}/whatsapp"
    message = twilio_webhook.inbound("look", BOB, media={"https://example.com/a.jpg": "image/jpeg"})
    twilio_webhook.post(url, message)
    twilio_webhook.post(url, message, auth_token="forged")
    twilio_webhook.post_tampered(url, message)
    twilio_webhook.post(url, twilio_webhook.status_callback(message["MessageSid"], "read"))
    validator = RequestValidator(TWILIO_AUTH_TOKEN)
    valid = [validator.validate(url, r.form, r.headers["x-twilio-signature"]) for r in receiver.requests]
    assert valid == [True, False, False, True]
    assert receiver.requests[0].form["WaId"] == "15550000002"


async def test_the_model_answers_from_its_script(aimock: Aimock) -> None:
    aimock.load([calls_tool("my mail", "list_mail"), says("my mail", "You have mail.", hasToolResult=True)])
    client = AsyncOpenAI(base_url=aimock.base_url, api_key="any", max_retries=0)
    asked: Any = [{"role": "user", "content": "read my mail"}]
    tool: Any = {"type": "function", "function": {"name": "list_mail", "parameters": {"type": "object"}}}
    first = await client.chat.completions.create(model="gpt-5.2", messages=asked, tools=[tool])
    (call,) = first.choices[0].message.tool_calls or []
    result = {"role": "tool", "tool_call_id": call.id, "content": "one mail"}
    asked += [first.choices[0].message.model_dump(exclude_none=True), result]
    second = await client.chat.completions.create(model="gpt-5.2", messages=asked, tools=[tool])
    assert second.choices[0].message.content == "You have mail."

    unknown: Any = [{"role": "user", "content": "something else"}]
    with pytest.raises(InternalServerError):
        await client.chat.completions.create(model="gpt-5.2", messages=unknown)
    assert len(aimock.requests()) == 3
    assert [body["messages"] for body in aimock.unmatched()] == [unknown]
    await client.close()
