"""A toolkit that keeps the notes of each person in a separate file."""

import re
from pathlib import Path

from toolkits import Toolkit, tool


class Notes(Toolkit):
    """Keeps one file of notes for each namespace.

    Args:
        directory: the folder of the files.
        namespace: the name of the file, without .txt. gateway.yaml builds it from the ids of the person who asks.
    """

    private = True

    def __init__(self, directory: str, namespace: str) -> None:
        self.directory = directory
        self.namespace = namespace

    @tool(label="Keeping a note")
    def add_note(self, text: str) -> str:
        """Keep a note."""
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{' '.join(text.split())}\n")
        return "The note is kept."

    @tool(label="Looking through your notes", read_only=True)
    def list_notes(self) -> list[str]:
        """List all notes."""
        path = self._path()
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def _path(self) -> Path:
        if not re.fullmatch(r"[\w+-]+", self.namespace):
            raise ValueError(f"the namespace {self.namespace!r} cannot be the name of a file")
        return Path(self.directory) / f"{self.namespace}.txt"
