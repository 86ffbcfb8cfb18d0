"""YAML files that describe a gateway, with a module of toolkits beside them, and a fixture that writes them."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

KITS = '''
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway import Agent, Message
from oauth import OAuthProvider
from toolkits import Toolkit, tool


class Notes(Toolkit):
    _clone_shared_attrs = ("store",)

    def __init__(self, namespace: str, tags: list[str] | None = None, store: dict | None = None) -> None:
        self.namespace = namespace
        self.tags = tags or []
        self.store = {} if store is None else store

    @tool
    def where(self) -> str:
        """Tell where notes are."""
        return f"{self.namespace} {self.tags}"

    @tool
    def note(self, text: str) -> str:
        """Note something."""
        self.store.setdefault(self.namespace, []).append(text)
        return str(self.store)


helper = Agent(model="test", name="helper")


async def flow(message: Message) -> str:
    return f"flow: {message.text}"


class Typed(Toolkit):
    def __init__(
        self, limit: int, directory: Path = Path("a"), hours: Mapping[str, list[int]] | None = None,
        words: Iterable[str] = (), auth: OAuthProvider | None = None, clock: "Unimported | None" = None,
    ) -> None:
        self.limit = limit
        self.directory = directory
        self.hours = hours
        self.words = tuple(words)
        self.clock = clock

    @tool
    def tell(self) -> str:
        """Tell what it was made with."""
        return repr((self.limit + 1, self.directory, self.hours, self.words, self.clock))


class NoToolkit:
    pass
'''


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes gateway.yaml, in which `MYKITS:` stands for the module of toolkits."""
    monkeypatch.setenv("UNDERSTUDY_MODEL", "test")
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", f"sqlite:///{tmp_path}/config.db")
    monkeypatch.chdir(tmp_path)
    name = f"kits_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(KITS)

    def written(text: str) -> Path:
        path = tmp_path / "gateway.yaml"
        path.write_text(dedent(text).replace("MYKITS:", f"{name}:"))
        return path

    return written


WHOLE = """
    agents:
      notes:
        instructions: You keep the notes of ${USER_ID} in ${REGION}.
        description: I keep notes.
        toolkits:
          - use: MYKITS:Notes
            namespace: ${TENANT}/${USER_ID}
            tags: ["${CHANNEL}", "${PLAN:none}", "$${literal}", "${REGION}"]
        when_busy: collect
      research:
        use: MYKITS:flow
    routes:
      - agent: notes
      - agent: research
        command: /research
    interfaces:
      web: {}
    request_context: [PLAN]
    sessions:
      tokens: ${TOKENS:4000}
      idle_hours: 2
    limits:
      max_concurrent_turns: 3
      turn_tries: 2
    private_answers: open
"""
