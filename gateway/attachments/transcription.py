"""Read recordings as text: what is said in them."""

import asyncio
import logging

from toolkits import Attachment, AttachmentError, Transcriber

TIMEOUT = 120.0  # seconds, with all tries

CANNOT_LISTEN = "I cannot listen to recordings."
NOT_NOW = "I cannot listen to it at the moment."
SILENT = "I hear nobody speak in it."

log = logging.getLogger(__name__)


async def transcript_of(
    data: bytes, attachment: Attachment, media_type: str | None, transcriber: Transcriber | None
) -> str:
    """Return what is said in a recording.

    Args:
        media_type: what its first bytes say it is.

    Raises:
        AttachmentError: if there is no transcriber, or it cannot transcribe the recording.
    """
    if transcriber is None:
        log.info("a recording is not read: set UNDERSTUDY_TRANSCRIPTION_MODEL, or give Agent(transcriber=…)")
        raise AttachmentError(CANNOT_LISTEN)
    try:
        async with asyncio.timeout(TIMEOUT):
            text = await transcriber(data, attachment.name, media_type or attachment.media_type)
    except AttachmentError:
        raise
    except Exception as error:  # whatever an operator's transcriber raises, the rest of the message is answered
        log.exception("the transcriber failed")
        raise AttachmentError(NOT_NOW) from error
    if not text.strip():
        raise AttachmentError(SILENT)
    return text.strip()
