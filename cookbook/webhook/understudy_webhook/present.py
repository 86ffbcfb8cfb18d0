"""The presenter of the channel: it posts answers to the host application, as signed requests."""

import json
import secrets
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
from standardwebhooks import Webhook

from gateway.channels import Delivery, Presenter, QuestionCard, SignIn
from gateway.channels.http_errors import delivery_errors
from gateway.channels.sentences import SIGN_IN_TERMS, answer_held, answered_in, sign_in_button, sign_in_request
from oauth import Identity
from toolkits import Conversation
from understudy_webhook.errors import delivery_error
from understudy_webhook.format import to_markdown
from understudy_webhook.parse import conversation_with, place_of
from understudy_webhook.signature import sign

CALL_TIMEOUT = 20.0  # seconds; the specification recommends 15 to 30

ANSWERED = answered_in("our direct conversation")
ANSWER_HELD = answer_held("Write to me in our direct conversation, and I will send it to you there.")


class WebhookPresenter(Presenter):
    """Posts the agent's answers to the host application.

    Args:
        url: the address of the host to which answers are posted.
        signer: signs each request.
    """

    def __init__(self, url: str, signer: Webhook) -> None:
        self._url = url
        self._signer = signer
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Open the HTTP client."""
        self._client = httpx.AsyncClient(timeout=CALL_TIMEOUT)

    async def close(self) -> None:
        """Close the HTTP client."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    def parts(self, markdown: str) -> list[str]:
        text = to_markdown(markdown)
        return [text] if text else []

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        await self._post(key, conversation, type="answer", text=text, reply_to=reply_to)

    async def send_private_text(
        self, identity: Identity, conversation: Conversation, text: str, *, first: bool, key: str
    ) -> None:
        asked_in = place_of(conversation).conversation
        await self._post(key, conversation_with(identity), type="answer", text=text, asked_in=asked_in)

    async def send_private_note(
        self,
        identity: Identity,
        conversation: Conversation,
        reply_to: str,
        *,
        reached: bool,
        card: QuestionCard | None = None,
    ) -> None:
        about = json.dumps([identity.tenant, conversation.id, identity.user_id, reply_to, reached])
        text = ANSWERED if reached else ANSWER_HELD
        await self._post(str(uuid5(NAMESPACE_URL, about)), conversation, type="answer", text=text, reply_to=reply_to)

    async def was_sent(self, delivery: Delivery) -> bool:
        """Return `False`, so that a text is sent again with the same id if nobody knows whether it arrived.

        If the first one arrived, the host recognizes the id and shows the text once.
        """
        return False

    def is_direct(self, identity: Identity, conversation: Conversation) -> bool:
        return conversation.id == conversation_with(identity).id

    async def send_sign_in(self, sign_in: SignIn) -> None:
        link, place = await sign_in.link(), {}
        conversation = sign_in.conversation
        if conversation.shared:
            place = {"asked_in": place_of(conversation).conversation}
            conversation = conversation_with(sign_in.identity)
        ask = f"{sign_in_request(sign_in.label)}: [{sign_in_button(sign_in.label)}]({link})"
        await self._post(
            secrets.token_hex(),  # every link is a new one, so every request has a new id
            conversation,
            type="sign_in",
            text=f"{ask}\n\n{SIGN_IN_TERMS}",
            link=link,
            reply_to=sign_in.reply_to,
            **place,
        )

    async def _post(self, identifier: str, conversation: Conversation, **fields: Any) -> None:
        """Post one request, and return when the host has accepted it.

        Args:
            identifier: the id of the request, the same each time that it is posted.
            fields: the fields of the body besides the id and the conversation.

        Raises:
            DeliveryRefusedError, RecipientUnreachableError: if the host refuses it.
            DeliveryAmbiguousError: if nobody knows whether the host accepted it.
            RetryLaterError: if the host asks for a pause.
            ConnectionError: if the host cannot be reached, or a proxy or a redirect answers in its place.
        """
        assert self._client is not None, "the channel is not started"
        place = place_of(conversation)
        posted = {
            "id": identifier,
            "tenant": conversation.tenant,
            "conversation": place.conversation,
            "shared": conversation.shared,
            "only_for": place.person,
            **fields,
        }
        body = json.dumps(posted, ensure_ascii=False)
        headers = {"content-type": "application/json", **sign(self._signer, identifier, body)}
        with delivery_errors("The host application", lambda _: None):
            answer = await self._client.post(self._url, content=body.encode(), headers=headers)
        if (error := delivery_error(answer)) is not None:
            raise error
