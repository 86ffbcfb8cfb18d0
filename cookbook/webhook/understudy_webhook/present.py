"""Answers as signed JSON that is posted to the host application."""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook as Signer

from gateway.channels import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    Presenter,
    RecipientUnreachableError,
    RetryLaterError,
    SignIn,
)
from gateway.channels.http_errors import delivery_errors, retry_after
from gateway.channels.sentences import SIGN_IN_TERMS, answer_held, answered_in, sign_in_request
from oauth import Identity
from toolkits import Conversation
from understudy_webhook.format import to_parts
from understudy_webhook.parse import direct_conversation

CALL_TIMEOUT = 15.0  # seconds
GONE = (404, 410)


class WebhookPresenter(Presenter):
    """Posts answers, each under an id that a second delivery has again: the host application drops duplicates by it."""

    def __init__(self, signer: Signer, url: str) -> None:
        self._signer = signer
        self._url = url
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Make the HTTP client."""
        self._client = httpx.AsyncClient(timeout=CALL_TIMEOUT)

    async def close(self) -> None:
        """Close the HTTP client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def parts(self, markdown: str) -> list[str]:
        return to_parts(markdown)

    def mark_repeated(self, text: str) -> str:
        return text  # it has the id of the first delivery, so that nobody reads it twice

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        await self._post(key, "message", conversation, text=text, reply_to=reply_to)
        return None

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> str | None:
        await self._post(key, "message", direct_conversation(identity), text=text, asked_in=conversation.id)
        return None

    async def send_private_note(
        self, identity: Identity, conversation: Conversation, reply_to: str, *, reached: bool
    ) -> None:
        note = answered_in("a direct message") if reached else answer_held("Write to me directly to get it.")
        await self._post(_new_id(), "note", conversation, text=note, reply_to=reply_to, about=identity.user_id)

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        return conversation == direct_conversation(identity)

    async def send_sign_in(self, sign_in: SignIn) -> None:
        text = f"{sign_in_request(sign_in.label)}. {SIGN_IN_TERMS}"
        direct = direct_conversation(sign_in.identity)
        link = {"label": sign_in.label, "url": await sign_in.link()}
        await self._post(_new_id(), "sign_in", direct, text=text, link=link, asked_in=sign_in.conversation.id)

    async def _post(self, key: str, kind: str, conversation: Conversation, **fields: Any) -> None:
        assert self._client is not None, "the channel is not started"
        place = {"id": conversation.id, "shared": conversation.shared}
        posted = {"id": key, "type": kind, "tenant": conversation.tenant, "conversation": place, **fields}
        body, now = json.dumps(posted, ensure_ascii=False), datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(key, now, body),
        }
        with delivery_errors("the host application", lambda _: None):
            answer = await self._client.post(self._url, content=body.encode(), headers=headers)
            error = _meaning(answer)
        if error is not None:
            raise error


def _meaning(answer: httpx.Response) -> Exception | None:
    """Return the error that an answer stands for; `None` if the host application took the message.

    Its answers are JSON objects. Another body is that of a proxy in between.
    """
    status = answer.status_code
    if status == 429:
        return RetryLaterError(retry_after(answer.headers))
    try:
        is_own = isinstance(answer.json(), dict)
    except ValueError:
        is_own = False
    if 400 <= status < 500 and not is_own:
        return ConnectionError(f"a proxy answered {status}")
    if status in GONE:
        return RecipientUnreachableError(f"the host application answered {status}")
    if 400 <= status < 500:
        return DeliveryRefusedError(f"the host application answered {status}")
    if answer.is_success and is_own:
        return None
    return DeliveryAmbiguousError(f"the host application answered {status}")


def _new_id() -> str:
    return f"msg_{secrets.token_hex(16)}"
