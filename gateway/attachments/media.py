"""Tell what a file is by its first bytes: names and declared types are what somebody sent."""

from toolkits import Attachment

PDF = "application/pdf"

# https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern and …#matching-an-archive-type-pattern
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", PDF),
)


def media_type_of(data: bytes, attachment: Attachment) -> str | None:
    """Return the media type of an image that models take, or of a PDF; `None` for everything else.

    An SVG is no image here: it is a program of its own.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if data.startswith(signature)), None)
