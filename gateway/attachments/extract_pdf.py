"""Print the text of the PDF on the standard input. It is a program: a hostile file may take for ever, or all memory."""

import io
import resource
import sys

from pypdf import PdfReader

MEMORY = 2**30  # bytes


def main(most_characters: int, most_pages: int) -> None:
    """Print the pages up to a number of characters, which the last one may exceed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    reader, size = PdfReader(io.BytesIO(sys.stdin.buffer.read())), 0
    for page in reader.pages[:most_pages]:
        text = page.extract_text()
        sys.stdout.buffer.write(f"{text}\n\n".encode(errors="replace"))
        size += len(text)
        if size > most_characters:
            return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
