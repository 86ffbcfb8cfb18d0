"""Transcribe recordings with OpenAI's API: https://platform.openai.com/docs/guides/speech-to-text"""

import io
import logging

from openai import APIStatusError, AsyncOpenAI, OpenAIError

from gateway.attachments.transcription import NOT_NOW, TIMEOUT
from oauth import SettingError
from toolkits import AttachmentError

OPENAI = "openai"
MOST_BYTES = 25 * 2**20
# The endpoint goes by the ending of the file name. Newer models refuse .oga, the ending of Telegram's voice notes.
ENDINGS = {
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wave": "wav",
    "video/mp4": "mp4",
    "video/webm": "webm",
}

UNKNOWN_FORMAT = "I cannot listen to recordings in this format."
TOO_LARGE = f"I can listen to recordings of up to {MOST_BYTES // 2**20} MB."
REFUSED = "It is too long, or in a format that I cannot listen to."

log = logging.getLogger(__name__)


class OpenAITranscriber:
    """Transcribes recordings with OpenAI's API or a compatible endpoint (OPENAI_BASE_URL).

    Args:
        model: a model like "openai:gpt-4o-mini-transcribe", or its name without the provider.

    Raises:
        SettingError: if the model is another provider's, or OPENAI_API_KEY is not set.
    """

    def __init__(self, model: str) -> None:
        provider, _, name = model.rpartition(":")
        setting = f"The transcription model {model!r} (UNDERSTUDY_TRANSCRIPTION_MODEL, or Agent(transcriber=…))"
        if provider not in ("", OPENAI) or not name:
            raise SettingError(
                f"{setting} cannot be used: name a model of OpenAI, like openai:gpt-4o-mini-transcribe, or of the "
                "compatible endpoint at OPENAI_BASE_URL; for others give a function as Agent(transcriber=…)."
            )
        self._model = name
        try:
            self._client = AsyncOpenAI(timeout=TIMEOUT)  # it retries after 429, 5xx and lost connections
        except OpenAIError as error:
            raise SettingError(f"{setting} cannot be used: {error}") from None

    async def __call__(self, data: bytes, name: str, media_type: str) -> str:
        ending = ENDINGS.get(media_type)
        if ending is None:
            raise AttachmentError(UNKNOWN_FORMAT)
        if len(data) > MOST_BYTES:
            raise AttachmentError(TOO_LARGE)
        # The client sends a file object in pieces; it would copy bytes as a whole.
        file = (f"recording.{ending}", io.BytesIO(data), media_type)
        try:
            answer = await self._client.audio.transcriptions.create(file=file, model=self._model)
        except APIStatusError as error:
            log.warning("a recording was not transcribed: the endpoint answered %s", error.status_code)
            raise AttachmentError({400: REFUSED, 413: TOO_LARGE}.get(error.status_code, NOT_NOW)) from error
        except OpenAIError as error:
            log.warning("a recording was not transcribed: %s", type(error).__name__)
            raise AttachmentError(NOT_NOW) from error
        return answer.text
