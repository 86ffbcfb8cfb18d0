"""Print the text of the document on the standard input.

This is a separate program because a hostile file may take forever to read, or all memory. The libraries are imported
where they are used, because the ones for office documents are an extra.
"""

import io
import resource
import sys
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

MEMORY = 2**30  # bytes that this program may use
MOST_UNPACKED = 200 * 2**20  # bytes of an office document, which is a ZIP archive
MOST_PAGES = 500  # of a PDF
ANOTHER_TYPE = 3  # the exit status for a ZIP archive that is not an office document


def main(kind: str, most_characters: int) -> None:
    """Print the text of a document, block by block, until it has `most_characters`.

    Args:
        kind: "pdf" or "office".
        most_characters: the limit. The last block may exceed it.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    data, size = sys.stdin.buffer.read(), 0
    for block in pdf(data) if kind == "pdf" else office(data):
        sys.stdout.buffer.write(f"{block}\n".encode(errors="replace"))
        size += len(block)
        if size > most_characters:
            return


def pdf(data: bytes) -> Iterator[str]:
    """Yield the text of each page."""
    from pypdf import PdfReader

    for page in PdfReader(io.BytesIO(data)).pages[:MOST_PAGES]:
        yield f"{page.extract_text()}\n"


def office(data: bytes) -> Iterator[str]:
    """Yield the text of a document of Word, Excel or PowerPoint, block by block.

    Raises:
        ValueError: if its unpacked size is too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names, unpacked = archive.namelist(), sum(file.file_size for file in archive.infolist())
    except zipfile.BadZipFile:
        sys.exit(ANOTHER_TYPE)
    readers = {"word/document.xml": word, "xl/workbook.xml": excel, "ppt/presentation.xml": powerpoint}
    reader = next((reader for part, reader in readers.items() if part in names), None)
    if reader is None:
        sys.exit(ANOTHER_TYPE)
    if unpacked > MOST_UNPACKED:  # as the archive says; `zipfile` never unpacks more than that
        raise ValueError("too large")
    yield from reader(io.BytesIO(data))


def word(file: io.BytesIO) -> Iterator[str]:
    """Yield the paragraphs and the rows of tables, in order."""
    from docx import Document
    from docx.text.paragraph import Paragraph

    for item in Document(file).iter_inner_content():
        if isinstance(item, Paragraph):
            yield item.text
        else:
            yield from map(_row, ([cell.text for cell in row.cells] for row in item.rows))


def excel(file: io.BytesIO) -> Iterator[str]:
    """Yield the rows of each sheet that are not empty. A formula is read as its last result."""
    from openpyxl import load_workbook

    for sheet in load_workbook(file, read_only=True, data_only=True).worksheets:
        yield f"Sheet {sheet.title}"
        sheet.reset_dimensions()  # the size that the file declares may be wrong
        for values in sheet.iter_rows(values_only=True):
            if any(value is not None for value in values):
                yield _row(values)


def powerpoint(file: io.BytesIO) -> Iterator[str]:
    """Yield the texts of each slide, and its notes."""
    from pptx import Presentation

    for number, slide in enumerate(Presentation(file).slides, 1):
        yield f"Slide {number}"
        yield from _shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield f"Notes: {slide.notes_slide.notes_text_frame.text}"


def _shapes(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif shape.has_table:
            yield from map(_row, ([cell.text for cell in row.cells] for row in shape.table.rows))


def _row(values: Iterable[Any]) -> str:
    """Return a row of a table as one line of text."""
    texts = (" ".join(str(value).split()) if value is not None else "" for value in values)
    return " | ".join(texts).rstrip(" |")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
