"""Attachments: their names, and how they are read and saved."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from toolkits import Attachment, AttachmentError, AttachmentKind, kind_of


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("receipt.png", "receipt.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ana\\cv.docx", "cv.docx"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\nb\0c.txt", "abc.txt"),
        ("..", ""),
        ("/", ""),
        ("", ""),
        ("\ud800.txt", "\ufffd.txt"),
        ("x" * 500 + ".pdf", "x" * 116 + ".pdf"),
        ("x" * 500, "x" * 120),
    ],
    ids=ascii,
)
def test_a_name_is_not_a_path_and_cannot_disguise_itself(sent: str, shown: str) -> None:
    assert Attachment(AttachmentKind.DOCUMENT, name=sent).name == shown


def test_a_title_names_the_kind_and_the_file() -> None:
    assert Attachment(AttachmentKind.IMAGE, name="a.png").title == "image 'a.png'"
    assert Attachment(AttachmentKind.VOICE).title == "voice"
    assert Attachment(AttachmentKind.OTHER, name="poll").title == "poll"


def test_the_media_type_is_without_parameters() -> None:
    assert Attachment(AttachmentKind.VOICE, media_type="Audio/OGG; codecs=opus").media_type == "audio/ogg"


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", "image"),
        ("AUDIO/ogg", "audio"),
        ("video/mp4", "video"),
        ("text/plain", "document"),
        ("", "document"),
    ],
)
def test_the_kind_follows_from_the_media_type(media_type: str, kind: str) -> None:
    assert kind_of(media_type) == kind


async def _pieces() -> AsyncGenerator[bytes, None]:
    for piece in (b"ab", b"", b"c"):
        yield piece


async def _broken() -> AsyncGenerator[bytes, None]:
    yield b"ab"
    raise AttachmentError("The document is gone.")


async def test_a_file_is_fetched_each_time_that_it_is_read() -> None:
    attachment = Attachment(AttachmentKind.DOCUMENT, fetch=_pieces)
    assert [await attachment.read(), await attachment.read()] == [b"abc", b"abc"]


async def test_an_attachment_without_a_file_cannot_be_read() -> None:
    with pytest.raises(AttachmentError, match="The location is not a file"):
        await Attachment(AttachmentKind.LOCATION, text="48, 10").read()


async def test_a_file_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    await Attachment(AttachmentKind.DOCUMENT, fetch=_pieces).save(target)
    with pytest.raises(AttachmentError, match="gone"):
        await Attachment(AttachmentKind.DOCUMENT, fetch=_broken).save(target)
    assert target.read_bytes() == b"abc"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
