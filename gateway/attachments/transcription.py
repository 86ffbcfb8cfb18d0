"""Transcribe recordings with an agent's transcriber."""

import asyncio
import logging

from toolkits import Attachment, AttachmentError, Transcriber

TIMEOUT = 120.0  # seconds, including retries

CANNOT_LISTEN = "I cannot listen to recordings."
NOT_NOW = "I cannot listen to it at the moment."
SILENT = "I cannot hear anybody speaking in it."

log = logging.getLogger(__name__)


async def transcript_of(
    data: bytes, attachment: Attachment, media_type: str | None, transcriber: Transcriber | None
) -> str:
    """Return the transcript of a recording.

    Args:
        media_type: the type that the file's first bytes show, from `media_type_of`.

    Raises:
        AttachmentError: if there is no transcriber, or it cannot transcribe the recording.
    """
    if transcriber is None:
        log.info("a recording was not read: set UNDERSTUDY_TRANSCRIPTION_MODEL, or give Agent(transcriber=…)")
        raise AttachmentError(CANNOT_LISTEN)
    try:
        async with asyncio.timeout(TIMEOUT):
            text = await transcriber(data, attachment.name, media_type or attachment.media_type)
    except AttachmentError:
        raise
    except Exception as error:  # an operator's transcriber may raise anything; the rest of the message is answered
        log.exception("the transcriber failed")
        raise AttachmentError(NOT_NOW) from error
    if not text.strip():
        raise AttachmentError(SILENT)
    return text.strip()
