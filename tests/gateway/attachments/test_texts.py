"""Texts are decoded piece by piece, with the same result as in one piece."""

import pytest

from gateway.attachments.texts import CHUNK, MOST_CHARACTERS, NotTextError, text_of
from toolkits import Attachment, AttachmentKind

FILE = Attachment(AttachmentKind.DOCUMENT, name="a.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("before", range(4))
async def test_a_character_that_two_pieces_share_is_decoded(encoding: str, before: int) -> None:
    text = "x" * before + "🎲" * (CHUNK // 2)
    assert await text_of(text.encode(encoding), FILE, None) == text


async def test_the_part_that_is_left_out_is_counted_in_characters() -> None:
    text = "表" * (MOST_CHARACTERS + 3 * CHUNK)
    assert await text_of(text.encode(), FILE, None) == (
        f"{text[:MOST_CHARACTERS]}\n[{3 * CHUNK} more characters are left out]"
    )


@pytest.mark.parametrize("end", [b"\0", b"\xff", "🎲".encode()[:2]], ids=["NUL", "no UTF-8", "cut off"])
async def test_a_file_whose_last_piece_is_not_text_is_not_text(end: bytes) -> None:
    with pytest.raises(NotTextError):
        await text_of(b"x" * (2 * CHUNK) + end, FILE, None)
