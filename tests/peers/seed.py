"""The people, clients and data with which the stand-ins for Google, Slack, Twilio and GitHub start. Ids are fixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A person, with their ids on every platform."""

    name: str
    slack_id: str
    phone: str  # E.164
    telegram_id: int

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    @property
    def slack_token(self) -> str:
        return f"xoxp-{self.name}"

    def marker(self, kind: str, number: int) -> str:
        """Return the text that only one of this person's items contains.

        Args:
            kind: `MAIL`, `EVENT` or `FILE`.
            number: the number of the item, from 1.
        """
        return f"{self.name.upper()}-{kind}-{number}"


ALICE = Person("alice", "U0ALICE01", "+15550000001", 1001)
BOB = Person("bob", "U0BOBBY01", "+15550000002", 1002)
CAROL = Person("carol", "U0CAROL01", "+15550000003", 1003)
PEOPLE = {person.name: person for person in (ALICE, BOB, CAROL)}
CANARY_EMAIL = "canary@nobody.test"
CANARY = "CANARY"
ITEMS_EACH = 3  # mails of each person, and as many events and files

GOOGLE_CLIENT_ID = "peers.apps.googleusercontent.com"
GOOGLE_CLIENT_SECRET = "GOCSPX-peers"

GITHUB_CLIENT_ID = "Iv1.peers"
GITHUB_CLIENT_SECRET = "peers-github-secret"

SLACK_TEAM_ID = "T0PEERS01"
SLACK_CHANNEL_ID = "C0GENERAL"
SLACK_APP_ID = "A0PEERAPP"
SLACK_BOT_ID = "B0PEERBOT"
SLACK_BOT_USER_ID = "U0PEERBOT"
SLACK_BOT_TOKEN = "xoxb-peers"
SLACK_SIGNING_SECRET = "peers-signing-secret"
SLACK_CLIENT_ID = "111.222"
SLACK_CLIENT_SECRET = "peers-slack-secret"
SLACK_SCOPES = [
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "reactions:write",
    "team:read",
    "users:read",
    "users:read.email",
]

TWILIO_ACCOUNT_SID = "AC" + "1" * 32
TWILIO_AUTH_TOKEN = "peers-twilio-token"
TWILIO_NUMBER_SID = "PN" + "1" * 32
WHATSAPP_NUMBER = "whatsapp:+15551234567"
TWILIO_OTHER_NUMBER_SID = "PN" + "2" * 32
WHATSAPP_OTHER_NUMBER = "whatsapp:+15557654321"


def seed(ports: Sequence[int], redirect_uris: list[str], sms_url: str | None) -> Json:
    """Return the content of the seed file, with Google, Slack, Twilio and GitHub on these ports, in this order."""
    google, slack, twilio, github = ports
    return {
        "tokens": {},
        "google": {"port": google, "baseUrl": f"http://127.0.0.1:{google}", **_google(redirect_uris)},
        "slack": {"port": slack, "baseUrl": f"http://127.0.0.1:{slack}", **_slack(redirect_uris)},
        "twilio": {"port": twilio, "baseUrl": f"http://127.0.0.1:{twilio}", **_twilio(sms_url)},
        "github": {"port": github, "baseUrl": f"http://127.0.0.1:{github}", **_github(redirect_uris)},
    }


def _github(redirect_uris: list[str]) -> Json:
    return {
        "users": [
            {"login": person.name, "name": person.name.capitalize(), "email": person.email}
            for person in PEOPLE.values()
        ],
        "oauth_apps": [
            {
                "client_id": GITHUB_CLIENT_ID,
                "client_secret": GITHUB_CLIENT_SECRET,
                "name": "Peers",
                "redirect_uris": redirect_uris,
            }
        ],
    }


def _google(redirect_uris: list[str]) -> Json:
    now = datetime.now(UTC).replace(microsecond=0)
    canary = {
        "id": "canary-mail",
        "user_email": CANARY_EMAIL,
        "from": "nobody@example.com",
        "to": CANARY_EMAIL,
        "subject": f"{CANARY}: nobody may see this",
        "body_text": CANARY,
        "date": now.isoformat(),
    }
    people = PEOPLE.values()
    numbers = range(1, ITEMS_EACH + 1)
    return {
        "users": [
            {"email": CANARY_EMAIL, "name": "Canary"},
            *({"email": person.email, "name": person.name.capitalize()} for person in people),
        ],
        "oauth_clients": [
            {
                "client_id": GOOGLE_CLIENT_ID,
                "client_secret": GOOGLE_CLIENT_SECRET,
                "name": "Peers",
                "redirect_uris": redirect_uris,
            }
        ],
        "messages": [canary, *(_mail(person, n, now) for person in people for n in numbers)],
        "calendars": [
            {"id": "primary", "user_email": person.email, "summary": person.email, "primary": True} for person in people
        ],
        "calendar_events": [_event(person, n, now) for person in people for n in numbers],
        "drive_items": [_file(person, n) for person in people for n in numbers],
    }


def _mail(person: Person, number: int, now: datetime) -> Json:
    marker = person.marker("MAIL", number)
    return {
        "id": f"{person.name}-mail-{number}",
        "user_email": person.email,
        "from": f"Sender {number} <sender{number}@example.com>",
        "to": person.email,
        "subject": f"{marker} subject",
        "body_text": f"{marker} body, for {person.name} alone.",
        "date": (now - timedelta(hours=number)).isoformat(),
    }


def _event(person: Person, number: int, now: datetime) -> Json:
    start = now + timedelta(days=number)
    return {
        "id": f"{person.name}-event-{number}",
        "user_email": person.email,
        "calendar_id": "primary",
        "summary": person.marker("EVENT", number),
        "start_date_time": start.isoformat(),
        "end_date_time": (start + timedelta(minutes=30)).isoformat(),
    }


def _file(person: Person, number: int) -> Json:
    marker = person.marker("FILE", number)
    return {
        "id": f"{person.name}-file-{number}",
        "user_email": person.email,
        "name": f"{marker}.txt",
        "mime_type": "text/plain",
        "parent_ids": ["root"],
        "data": f"{marker} content",
    }


def _slack(redirect_uris: list[str]) -> Json:
    people = PEOPLE.values()
    bot = {"bot_id": SLACK_BOT_ID, "bot_user_id": SLACK_BOT_USER_ID}
    app = {"app_id": SLACK_APP_ID, "client_id": SLACK_CLIENT_ID, "scopes": SLACK_SCOPES}
    return {
        "team": {"id": SLACK_TEAM_ID, "name": "Peers", "domain": "peers"},
        "users": [
            {
                "id": person.slack_id,
                "name": person.name,
                "real_name": person.name.capitalize(),
                "email": person.email,
                "tz": "Europe/Berlin",
                "locale": "de-DE",
            }
            for person in people
        ],
        "channels": [{"id": SLACK_CHANNEL_ID, "name": "general"}],
        "oauth_apps": [
            {
                **app,
                **bot,
                "client_secret": SLACK_CLIENT_SECRET,
                "name": "Peers",
                "bot_name": "peerbot",
                "redirect_uris": redirect_uris,
            }
        ],
        "tokens": [
            {**app, **bot, "token": SLACK_BOT_TOKEN, "type": "bot", "user_id": SLACK_BOT_USER_ID},
            *({"token": person.slack_token, "type": "user", "user_id": person.slack_id} for person in people),
        ],
        "signing_secret": SLACK_SIGNING_SECRET,
    }


def _twilio(sms_url: str | None) -> Json:
    return {
        "account": {"sid": TWILIO_ACCOUNT_SID, "auth_token": TWILIO_AUTH_TOKEN},
        "phone_numbers": [
            {"sid": TWILIO_NUMBER_SID, "phone_number": WHATSAPP_NUMBER, "sms_url": sms_url},
            {"sid": TWILIO_OTHER_NUMBER_SID, "phone_number": WHATSAPP_OTHER_NUMBER, "sms_url": None},
        ],
    }
