"""Office documents are read as text, in a separate process, since they may be hostile."""

import io
import sys
import zipfile
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

import openpyxl
import pytest
from docx import Document
from pptx import Presentation
from pptx.util import Inches

from gateway.attachments.prompt import Prompt, read_prompt
from toolkits import Attachment, AttachmentKind

pytestmark = pytest.mark.processes

BROKEN = "It is broken, too large, or needs a password."
ANOTHER_TYPE = "I cannot read files of that type."
# Entities whose last one expands to 200 GB of text: https://en.wikipedia.org/wiki/Billion_laughs_attack
LAUGHS = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))


async def _content(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


async def read(data: bytes, name: str) -> Prompt:
    attachment = Attachment(AttachmentKind.DOCUMENT, name=name, fetch=partial(_content, data))
    return await read_prompt("", [attachment], lambda _: True)


def saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def word() -> bytes:
    document = Document()
    document.add_heading("Offer")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Bread", "3 EUR"
    document.add_paragraph("Valid until Friday: Grüße")
    return saved(document)


def excel() -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Sales"
    for row in (["name", "total"], ["Ana", 3.5], [None, None], ["two\nlines", None], ["=1+1", "x"]):
        book.active.append(row)
    book.create_sheet("Empty")
    return saved(book)


def powerpoint() -> bytes:
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Plan"
    slide.shapes.add_group_shape().shapes.add_textbox(0, 0, 1, 1).text_frame.text = "in a group"
    table = slide.shapes.add_table(1, 2, 0, 0, Inches(1), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "May", "start"
    slide.notes_slide.notes_text_frame.text = "speak slowly"
    return saved(deck)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (word(), "Offer\nBread | 3 EUR\nValid until Friday: Grüße"),
        (excel(), "Sheet Sales\nname | total\nAna | 3.5\ntwo lines\n | x\nSheet Empty"),
        (powerpoint(), "Slide 1\nPlan\nin a group\nMay | start\nNotes: speak slowly"),
    ],
    ids=["word", "excel", "powerpoint"],
)
async def test_a_document_is_text_for_the_model_whatever_its_name(data: bytes, text: str) -> None:
    prompt = await read(data, "file.bin")
    assert prompt.text == f"[document 'file.bin']\n{text}\n[end of document 'file.bin']"
    assert (prompt.files, prompt.unread) == ([], [])


async def test_a_long_document_is_cut() -> None:
    book = openpyxl.Workbook()
    for number in range(20_000):
        book.active.append([number, "x" * 20])
    text = (await read(saved(book), "a.xlsx")).text
    assert "more characters are left out" in text
    assert len(text) < 61_000


async def test_an_empty_document_is_said_to_have_no_text() -> None:
    assert (await read(saved(Document()), "a.docx")).unread == [
        "I could not read the document 'a.docx': It has no text."
    ]


def archive(parts: dict[str, bytes], original: bytes = b"") -> bytes:
    """Return a ZIP archive with the parts of another one, and with some parts replaced or added."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        if original:
            with zipfile.ZipFile(io.BytesIO(original)) as archive_before:
                for name in set(archive_before.namelist()) - set(parts):
                    made.writestr(name, archive_before.read(name))
        for name, content in parts.items():
            made.writestr(name, content)
    return file.getvalue()


WHOLE = [(word(), "word/document.xml", "Offer"), (excel(), "xl/worksheets/sheet1.xml", "Ana"),
         (powerpoint(), "ppt/slides/slide1.xml", "Plan")]  # fmt: skip
KINDS = ["word", "excel", "powerpoint"]


def with_entity(original: bytes, part: str, text: str, declaration: str, entity: str) -> bytes:
    """Return a document in which an entity replaces a text."""
    with zipfile.ZipFile(io.BytesIO(original)) as file:
        content = file.read(part).decode()
    body = content.partition("?>")[2] if content.startswith("<?xml") else content
    assert text in body
    doctype = f'<?xml version="1.0"?><!DOCTYPE x [{declaration}]>'
    return archive({part: (doctype + body.replace(text, entity, 1)).encode()}, original)


def lying_bomb() -> bytes:
    """Return a document with a part of 300 MB, for which the archive states a size of 10 bytes."""
    data = archive({"word/document.xml": b"<a>" + bytes(300 * 2**20)})
    size = (300 * 2**20 + 3).to_bytes(4, "little")
    assert data.count(size) == 2
    return data.replace(size, (10).to_bytes(4, "little"))


def bomb(original: bytes, part: str) -> bytes:
    return archive({part: bytes(300 * 2**20)}, original)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(lambda: bomb(word(), "word/document.xml"), BROKEN, id="a bomb in a text"),
        pytest.param(lambda: bomb(excel(), "xl/worksheets/sheet1.xml"), BROKEN, id="a bomb in a table"),
        pytest.param(lying_bomb, BROKEN, id="a bomb that states a false size"),
        pytest.param(lambda: word()[:-40], ANOTHER_TYPE, id="half a file"),
        pytest.param(lambda: b"PK\x03\x04\xff", ANOTHER_TYPE, id="the beginning of a file"),
        pytest.param(lambda: archive({"a.txt": b"hello"}), ANOTHER_TYPE, id="another archive"),
        pytest.param(lambda: archive({"word/document.xml": b"<a/>"}), BROKEN, id="only a name of a part"),
        pytest.param(lambda: archive({"xl/workbook.xml": b"no XML"}, excel()), BROKEN, id="a part that is not XML"),
    ],
)
async def test_a_hostile_document_is_named_as_unread(make: Callable[[], bytes], sentence: str) -> None:
    assert (await read(make(), "a.docx")).unread == [f"I could not read the document 'a.docx': {sentence}"]


@pytest.mark.parametrize(("original", "part", "text"), WHOLE, ids=KINDS)
async def test_a_billion_laughs_attack_is_not_expanded(original: bytes, part: str, text: str) -> None:
    prompt = await read(with_entity(original, part, text, LAUGHS, "&l11;"), "a.docx")
    assert "hahaha" not in prompt.text
    assert len(prompt.text) < 1000


@pytest.mark.parametrize(("original", "part", "text"), WHOLE, ids=KINDS)
async def test_an_external_entity_reads_no_local_file(original: bytes, part: str, text: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    declaration = f'<!ENTITY e SYSTEM "{secret.as_uri()}">'
    prompt = await read(with_entity(original, part, text, declaration, "&e;"), "a.docx")
    assert "TOP SECRET" not in prompt.text


async def test_without_the_extra_the_log_names_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pptx", None)
    assert (await read(word(), "a.docx")).unread == [f"I could not read the document 'a.docx': {ANOTHER_TYPE}"]
    assert "pip install 'understudy[documents]'" in caplog.text
