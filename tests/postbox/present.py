"""Send answers as letters."""

import httpx

from gateway.channels import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    Presenter,
    RecipientUnreachableError,
    RetryLaterError,
    SignIn,
)
from gateway.channels.http_errors import delivery_errors, retry_after
from postbox.format import to_letters
from toolkits import Conversation


class PostboxPresenter(Presenter):
    def __init__(self, api_url: str) -> None:
        self._url = f"{api_url}/letters"

    def parts(self, markdown: str) -> list[str]:
        return to_letters(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        with delivery_errors("the post office", lambda _: None):
            async with httpx.AsyncClient() as client:
                answer = await client.post(self._url, json={"to": conversation.id, "text": text})
        if error := self.meaning(answer):
            raise error
        return None

    async def send_sign_in(self, sign_in: SignIn) -> None:
        await self.send_text(sign_in.conversation, await sign_in.link(), sign_in.reply_to, key="")

    def meaning(self, answer: httpx.Response) -> Exception | None:
        """Return the error for an answer of the post office, or `None` if it has accepted the letter."""
        if answer.status_code == 429:
            return RetryLaterError(retry_after(answer.headers))
        if answer.status_code == 403:
            return ConnectionError("a proxy refused it")
        if answer.status_code in (404, 422):
            return (RecipientUnreachableError if answer.status_code == 404 else DeliveryRefusedError)("refused")
        return None if answer.status_code == 202 else DeliveryAmbiguousError(f"the answer is {answer.status_code}")
