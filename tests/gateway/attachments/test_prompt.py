"""The prompt for a message with attachments."""

from collections.abc import AsyncGenerator
from functools import partial

import pytest
from support.files import JPEG, PDF, PNG, make_pdf

from gateway.attachments.prompt import MOST_FILES, Prompt, read_prompt
from toolkits import Attachment, AttachmentError, AttachmentKind


async def _content(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def sent(data: bytes, kind: AttachmentKind = AttachmentKind.DOCUMENT, **fields: str) -> Attachment:
    return Attachment(kind, fetch=partial(_content, data), **fields)  # type: ignore[arg-type]


async def read(*attachments: Attachment, takes: bool = True) -> Prompt:
    return await read_prompt("what is it?", attachments, lambda _: takes)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (PDF, "application/pdf"),
    ],
)
async def test_a_model_gets_the_very_bytes_of_a_picture_or_a_pdf(data: bytes, media_type: str) -> None:
    prompt = await read(sent(data, name="a.bin", media_type="application/octet-stream"))
    assert [(file.data, file.media_type) for file in prompt.files] == [(data, media_type)]
    assert prompt.text == "what is it?\n\n[document 'a.bin']"
    assert prompt.unread == []


async def test_a_picture_for_a_model_that_takes_none_is_named_as_unread() -> None:
    prompt = await read(sent(PNG, AttachmentKind.IMAGE, name="a.png"), takes=False)
    assert prompt.files == []
    assert prompt.unread == ["I could not read the image 'a.png': I cannot read files of that type."]
    assert "[image 'a.png', which cannot be read: I cannot read files of that type.]" in prompt.text


@pytest.mark.processes
async def test_a_pdf_is_text_for_a_model_that_takes_no_pdf() -> None:
    prompt = await read(sent(make_pdf("Total due: 42 EUR"), name="bill.pdf"), takes=False)
    assert "[document 'bill.pdf']\nTotal due: 42 EUR\n[end of document 'bill.pdf']" in prompt.text


@pytest.mark.processes
@pytest.mark.parametrize("data", [b"%PDF-1.7\nnonsense", b"%PDF-", PDF[:40]])
async def test_a_broken_pdf_is_named_as_unread(data: bytes) -> None:
    prompt = await read(sent(data, name="bill.pdf"), takes=False)
    assert prompt.unread == ["I could not read the document 'bill.pdf': It is broken, too large, or needs a password."]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße".encode(), "Grüße"),
        (b"\xef\xbb\xbfname,total\nana,3\n", "name,total\nana,3\n"),
        ("表".encode("utf-16"), "表"),
        (b"<svg onload='alert(1)'/>", "<svg onload='alert(1)'/>"),  # read as a text, not as a picture
    ],
)
async def test_a_text_is_read_as_text(data: bytes, text: str) -> None:
    prompt = await read(sent(data, name="a.txt"))
    assert prompt.text == f"what is it?\n\n[document 'a.txt']\n{text}\n[end of document 'a.txt']"
    assert (prompt.files, prompt.unread) == ([], [])


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x01\0", b"a\0b", b"\xff\xfe\xff"])
async def test_other_files_are_named_as_unread(data: bytes) -> None:
    prompt = await read(sent(data, name="a.exe"))
    assert prompt.unread == ["I could not read the document 'a.exe': I cannot read files of that type."]


async def test_an_empty_file_is_said_to_be_empty() -> None:
    assert (await read(sent(b"", name="a.txt"))).unread == ["I could not read the document 'a.txt': It is empty."]


async def test_a_long_text_is_cut_with_a_note() -> None:
    prompt = await read(sent(b"x" * 70_000, name="a.txt"))
    assert "[10000 more characters are left out]" in prompt.text
    assert len(prompt.text) < 61_000


async def test_a_location_is_text() -> None:
    prompt = await read(Attachment(AttachmentKind.LOCATION, text="latitude 48.4, longitude 10.0"))
    assert prompt.text == "what is it?\n\n[location]\nlatitude 48.4, longitude 10.0\n[end of location]"


async def test_one_unreadable_attachment_does_not_keep_the_others_from_being_read() -> None:
    async def gone() -> AsyncGenerator[bytes, None]:
        raise AttachmentError("The image is no longer at Slack.")
        yield b""

    prompt = await read(Attachment(AttachmentKind.IMAGE, fetch=gone), sent(b"hello", name="b.txt"))
    assert prompt.unread == ["I could not read the image: The image is no longer at Slack."]
    assert "hello" in prompt.text


async def test_only_the_first_of_a_hundred_files_are_read() -> None:
    prompt = await read(*(sent(b"text", name=f"{number}.txt") for number in range(100)))
    assert prompt.text.count("\ntext\n") == MOST_FILES
    assert len(prompt.unread) == 100 - MOST_FILES


async def test_without_a_text_the_attachment_is_the_prompt() -> None:
    assert (await read_prompt("", [sent(PNG, AttachmentKind.IMAGE)], lambda _: True)).text == "[image]"
