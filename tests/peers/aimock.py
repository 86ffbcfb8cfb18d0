"""A model that answers from a script: npm `@copilotkit/aimock`, OpenAI-compatible (chat and Responses,
streamed).
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from . import node
from .control import TIMEOUT, Json
from .process import Process, free_ports, retrying


class Aimock:
    """The server with its fixtures, in the order in which they are tried; the first that matches answers. A
    fixture is `{"match": {…}, "response": {…}}`, see `says` and `calls_tool` for the common ones. What
    matches none is refused with a 503 and stands in the journal.
    """

    url: str

    def __init__(self, fixtures: Sequence[Json] = ()) -> None:
        self.fixtures = list(fixtures)
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """For OPENAI_BASE_URL. Any OPENAI_API_KEY will do."""
        return f"{self.url}/v1"

    def start(self) -> None:
        """Raises `node.UnavailableError` if it cannot be had here."""
        retrying(self._start)

    def stop(self) -> None:
        if self._process:
            self._http.close()
            self._process.stop()
            self._process = None

    def output(self) -> str:
        """What the server has printed lately."""
        return self._process.output() if self._process else ""

    def load(self, fixtures: Sequence[Json]) -> None:
        """From now on these fixtures, and an empty journal."""
        self.fixtures = list(fixtures)
        self._post("reset")
        if self.fixtures:
            self._post("fixtures", {"fixtures": self.fixtures})

    def add(self, *fixtures: Json) -> None:
        """More fixtures, tried after those that are there."""
        self.fixtures += fixtures
        self._post("fixtures", {"fixtures": list(fixtures)})

    def fail_next(self, status: int = 500, message: str = "scripted failure") -> None:
        """The next request is answered with this error."""
        self._post("error", {"status": status, "body": {"message": message, "type": "server_error"}})

    def journal(self) -> list[Json]:
        """The requests so far, oldest first: `method`, `path`, `headers`, `body` (in the shape of a chat
        request: `messages`, `tools` …) and `response` (`status`, `fixture`).
        """
        return self._http.get(f"{self.url}/__aimock/journal").raise_for_status().json()

    def requests(self) -> list[Json]:
        """The bodies of the model requests in the journal."""
        return [entry["body"] for entry in self.journal() if entry["method"] == "POST"]

    def unmatched(self) -> list[Json]:
        """The bodies of the requests that no fixture matched."""
        return [entry["body"] for entry in self.journal() if entry["response"]["status"] == 503]

    def _post(self, control: str, body: Any = None) -> None:
        self._http.post(f"{self.url}/__aimock/{control}", json=body or {}).raise_for_status()

    def _up(self) -> bool:
        return self._http.get(f"{self.url}/__aimock/health").status_code == 200

    def _start(self) -> None:
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=False)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "fixtures.json"
            file.write_text(json.dumps({"fixtures": self.fixtures or [says("a first fixture, never asked for", "")]}))
            leash = (node.HERE / "preload" / "leash.mjs").as_uri()
            main = str(node.script("@copilotkit/aimock/dist/cli.js"))
            argv = [str(node.node()), "--import", leash, main, "--port", str(port), "--fixtures", str(file)]
            self._process = Process("aimock", [*argv, "--strict", "--journal-max", "0"], self._up)
            self._process.start()
        if not self.fixtures:
            self.load([])


def says(user_message: str, text: str, **match: Any) -> Json:
    """Answers `text` when the last user message contains `user_message`; `match` narrows it (`hasToolResult`,
    `toolResultContains`, `systemMessage`, `turnIndex`, `sequenceIndex`, `model` …).
    """
    return {"match": {"userMessage": user_message, **match}, "response": {"content": text}}


def calls_tool(user_message: str, tool: str, arguments: Json | None = None, **match: Any) -> Json:
    """Calls `tool` when the last user message contains `user_message` and no tool has answered since."""
    call = {"name": tool, "arguments": json.dumps(arguments or {})}
    return {
        "match": {"userMessage": user_message, "hasToolResult": False, **match},
        "response": {"toolCalls": [call]},
    }
