"""Detect the media type of a file from its first bytes, because names and declared types cannot be trusted."""

from toolkits import Attachment, AttachmentKind

PDF = "application/pdf"
ZIP = "application/zip"

# https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern, and the sections after it
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP", "image/webp"),
    (0, b"%PDF-", PDF),
    (0, b"PK\x03\x04", ZIP),
    (0, b"OggS\0", "audio/ogg"),
    (0, b"fLaC\0", "audio/flac"),
    (8, b"WAVEfmt ", "audio/wave"),
    *((0, b"ID3" + bytes([version]), "audio/mpeg") for version in (2, 3, 4)),
    *((0, b"\xff" + bytes([second]), "audio/mpeg") for second in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB)),  # layer III
)
_CONTAINER = b"ftyp"  # of ISO media: https://mimesniff.spec.whatwg.org/#signature-for-mp4
_BRANDS = {b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"qt  ": "video/quicktime"}
_PICTURE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
_EBML = b"\x1a\x45\xdf\xa3"  # https://mimesniff.spec.whatwg.org/#signature-for-webm


def media_type_of(data: bytes) -> str | None:
    """Return the media type of an image that models take, a PDF, a ZIP archive or a recording; else `None`.

    SVG does not count as an image.
    """
    if data[4:8] == _CONTAINER and data[8:12] not in _PICTURE_BRANDS:
        return _BRANDS.get(data[8:12], "video/mp4")
    if data.startswith(_EBML):
        return "video/webm" if b"webm" in data[:64] else "video/x-matroska"
    found = (media_type for start, signature, media_type in _SIGNATURES if data.startswith(signature, start))
    return next(found, None)


def is_for_models(media_type: str | None) -> bool:
    """Return whether some models read files of a media type themselves: images and PDFs."""
    return media_type is not None and (media_type == PDF or media_type.startswith("image/"))


def is_recording(attachment: Attachment, media_type: str | None) -> bool:
    """Return whether a file is a recording, audio or video, that can be transcribed. Stickers are not.

    Args:
        media_type: the type that the file's first bytes show, from `media_type_of`.
    """
    if attachment.kind is AttachmentKind.STICKER:
        return False
    is_sound = media_type is not None and media_type.startswith(("audio/", "video/"))
    return is_sound or attachment.kind in (AttachmentKind.VOICE, AttachmentKind.AUDIO, AttachmentKind.VIDEO)
