"""Turns of a person who has connected their Google account, for toolkits that are called without a gateway."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import httpx
from peers import seed
from peers.emulate.server import Emulate

from gateway import Conversation, File, Identity, Message, Template, TurnContext
from oauth import Token
from oauth.google import GoogleAuth
from support.consent.pages import authorization_code
from toolkits import Attachment, Toolkit

CALLBACK = "https://bot.test/oauth/google/callback"
VERIFIER = "v" * 64


class OneToken:
    """The credentials of one person.

    Attributes:
        asked: the scopes of each call of `credentials`.
    """

    def __init__(self, google: GoogleAuth, token: Token) -> None:
        self._google = google
        self.token = token
        self.asked: list[set[str]] = []

    async def credentials(self, provider: str, scopes: Any, *, renew: bool) -> Any:
        self.asked.append(set(scopes))
        return self._google.credentials(self.token)

    def credentials_sync(self, provider: str, scopes: Any, *, renew: bool, timeout: float) -> Any:
        raise NotImplementedError

    async def is_connected(self, provider: str, scopes: Any) -> bool:
        return True


async def connected(google: GoogleAuth, emulate: Emulate, person: seed.Person) -> OneToken:
    """Sign a person in at Google, and return their credentials."""
    link = google.authorization_url(state="s", verifier=VERIFIER, redirect_uri=CALLBACK, scopes=frozenset())
    code = await asyncio.to_thread(authorization_code, emulate, link, person.email)
    return OneToken(google, await google.exchange(code=code, verifier=VERIFIER, redirect_uri=CALLBACK))


@dataclass
class SentToChat:
    """A message sender that keeps the files that tools send to the chat, by their names, and the keys of the calls."""

    files: dict[str, bytes] = field(default_factory=dict)
    keys: list[str | None] = field(default_factory=list)

    async def send(
        self,
        conversation: Conversation,
        text: str,
        *,
        files: Sequence[File] = (),
        template: Template | None = None,
        at: datetime | None = None,
        key: str | None = None,
    ) -> str | None:
        self.files |= {file.name: b"".join([chunk async for chunk in file.chunks()]) for file in files}
        self.keys.append(key)
        return "r"


def turn_of(source: OneToken, attachments: Sequence[Attachment] = (), sent: SentToChat | None = None) -> TurnContext:
    """Return the context of a turn with these credentials, whose message has attachments."""
    identity, place = Identity("stage", "T1", "alice"), Conversation("stage", "T1", "dm", shared=False)
    return TurnContext(
        identity=identity,
        conversation=place,
        message=Message(
            id="1",
            text="",
            sender=identity,
            sender_name="Alice",
            conversation=place,
            attachments=tuple(attachments),
        ),
        message_sender=sent,
        deadline=datetime.now(UTC) + timedelta(minutes=5),
        reference="r",
        credential_source=source,
    )


async def shown(toolkit: Toolkit, tool: str, context: TurnContext, **arguments: Any) -> str:
    """Return the question that a person gets about a call which needs their approval."""
    return await toolkit.functions[tool].preview(arguments, context)


def insert(emulate: Emulate, source: OneToken, mail: EmailMessage) -> str:
    """Put a mail into a person's inbox, and return its id."""
    raw = base64.urlsafe_b64encode(mail.as_bytes()).decode()
    answer = httpx.post(
        f"{emulate.google_url}/gmail/v1/users/me/messages",
        json={"raw": raw, "labelIds": ["INBOX"]},
        headers={"Authorization": f"Bearer {source.token.access_token}"},
        trust_env=False,
    )
    answer.raise_for_status()
    return str(answer.json()["id"])
