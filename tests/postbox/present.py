"""Send answers as letters."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import httpx

from gateway.channels import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    Presenter,
    RecipientUnreachableError,
    RetryLaterError,
    SignIn,
    StoredFile,
)
from gateway.channels.http_errors import delivery_errors, retry_after
from gateway.channels.presenter import MARK_LENGTH
from postbox.format import LIMIT, to_letters
from toolkits import Conversation

MOST_ENCLOSED = 2  # files in a letter


class PostboxPresenter(Presenter):
    def __init__(self, api_url: str) -> None:
        self._url = f"{api_url}/letters"

    def parts(self, markdown: str) -> list[str]:
        return to_letters(markdown)

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> str | None:
        await self._post({"to": conversation.id, "text": text})
        return None

    def check_file(self, file: StoredFile) -> None:
        """Accept every file."""

    def grouped(self, files: Sequence[StoredFile]) -> list[Sequence[StoredFile]]:
        return [files[start : start + MOST_ENCLOSED] for start in range(0, len(files), MOST_ENCLOSED)]

    def longest_caption(self, files: Sequence[StoredFile]) -> int:
        return LIMIT - MARK_LENGTH

    async def send_files(
        self, conversation: Conversation, files: Sequence[StoredFile], caption: str, reply_to: str, *, key: str
    ) -> str | None:
        enclosed = [{"name": file.name, "content": b64encode(await file.read()).decode()} for file in files]
        await self._post({"to": conversation.id, "text": caption, "enclosed": enclosed})
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

    async def _post(self, letter: dict[str, Any]) -> None:
        with delivery_errors("the post office", lambda _: None):
            async with httpx.AsyncClient() as client:
                answer = await client.post(self._url, json=letter)
        if error := self.meaning(answer):
            raise error
