"""The pages of the documentation: their code, their commands, and the files that they show."""

import re
from collections.abc import Sequence
from pathlib import Path

from e2e.served import ROOT

from oauth import Keyring

DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "cookbook").glob("*/*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE)


def commands(program: str, documents: Sequence[Path] = DOCUMENTS) -> list[str]:
    """Return the command lines of a program, with the settings that stand before it."""
    lines = [line.strip() for document in documents for block in blocks(document, "sh") for line in block.splitlines()]
    return sorted({line for line in lines if re.match(rf"(?:[A-Z_]+=\S+ )*{program} ", line)})


#: The files that pages show for readers to save, by name.
FILES = {
    name[1]: block
    for document in DOCUMENTS
    for language in ("python", "yaml")
    for block in blocks(document, language)
    if (name := re.match(r"# (\w+\.(?:py|yaml))\n", block))
}


def file_of(name: str, directory: Path) -> Path:
    """Return a file that a command names: one of the repository, or one that a page shows."""
    if name not in FILES:
        return ROOT / name
    path = directory / name
    path.write_text(FILES[name])
    return path


#: The settings of the examples.
ACCOUNTS = {
    "UNDERSTUDY_MODEL": "test",
    "UNDERSTUDY_BASE_URL": "https://bot.example.com",
    "UNDERSTUDY_SECRET_KEY": Keyring.generate(),
    "GOOGLE_CLIENT_ID": "id",
    "GOOGLE_CLIENT_SECRET": "secret",
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "secret",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "TELEGRAM_WEBHOOK_SECRET": "secret",
}
