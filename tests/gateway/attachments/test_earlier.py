"""A model gets the latest files of earlier messages, up to a number and a total size."""

from collections.abc import AsyncGenerator
from functools import partial

from support.files import MP3, PNG

from gateway.attachments.earlier import MOST_BYTES, MOST_FILES, EarlierMessage, SentEarlier, read_earlier
from gateway.attachments.prompt import MOST_BYTES as ROOM
from toolkits import Attachment, AttachmentKind


async def _content(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def message(text: str, *contents: bytes, kind: AttachmentKind = AttachmentKind.IMAGE) -> EarlierMessage:
    named = enumerate(contents, 1)
    return EarlierMessage(text, [Attachment(kind, name=f"{n}.png", fetch=partial(_content, data)) for n, data in named])


async def read(*messages: EarlierMessage, takes: bool = True, room: int = ROOM) -> SentEarlier:
    return await read_earlier(messages, lambda _: takes, room)


async def test_the_last_files_are_given_in_their_order() -> None:
    found = await read(message("one", PNG, PNG), message("two", *[PNG] * (MOST_FILES - 1)))
    assert len(found.files) == MOST_FILES
    assert found.text.splitlines()[1:3] == ["[image '2.png', with 'one']", "[image '1.png', with 'two']"]


async def test_the_last_files_have_room_first() -> None:
    large = PNG + bytes(MOST_BYTES * 3 // 5)
    found = await read(message("one", large), message("two", large), message("three", PNG))
    assert [len(file.data) for file in found.files] == [len(large), len(PNG)]
    assert "one" not in found.text


async def test_files_have_the_room_that_the_message_leaves() -> None:
    assert (await read(message("one", PNG), room=len(PNG) - 1)).text == ""


async def test_files_that_the_history_has_as_text_are_not_given_again() -> None:
    assert await read(message("one", b"text", MP3, kind=AttachmentKind.DOCUMENT)) == SentEarlier()
    assert await read(message("one", MP3, kind=AttachmentKind.VOICE)) == SentEarlier()
    assert await read(message("one", PNG), takes=False) == SentEarlier()


async def test_a_long_message_is_quoted_by_its_beginning() -> None:
    (line,) = (await read(message("what\nis " + "x" * 200, PNG))).text.splitlines()[1:]
    assert line == f"[image '1.png', with 'what is {'x' * 72}…']"
