"""A model that answers from a script: npm `@copilotkit/aimock`.

It is compatible with OpenAI's chat completions and Responses APIs, streamed or not.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from peers import node
from peers.emulate.control import TIMEOUT, Json
from peers.process import Process, free_ports, retrying


class Aimock:
    """The server with its script, a list of fixtures. The first fixture that matches a request answers it.

    A fixture is `{"match": {…}, "response": {…}}`; `says` and `calls_tool` make the usual ones. The server answers a
    request that no fixture matches with 503. The journal records every request.
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
        """The value of OPENAI_BASE_URL. The server accepts any OPENAI_API_KEY."""
        return f"{self.url}/v1"

    def start(self) -> None:
        """Start the server.

        Raises:
            node.UnavailableError: the server cannot run on this machine.
        """
        retrying(self._start)

    def stop(self) -> None:
        if self._process:
            self._http.close()
            self._process.stop()
            self._process = None

    def output(self) -> str:
        """Return the end of the server's output."""
        return self._process.output() if self._process else ""

    def load(self, fixtures: Sequence[Json]) -> None:
        """Replace the fixtures, and clear the journal."""
        self.fixtures = list(fixtures)
        self._post("reset")
        if self.fixtures:
            self._post("fixtures", {"fixtures": self.fixtures})

    def add(self, *fixtures: Json) -> None:
        """Append fixtures, which are tried after the earlier ones."""
        self.fixtures += fixtures
        self._post("fixtures", {"fixtures": list(fixtures)})

    def fail_next(self, status: int = 500, message: str = "scripted failure") -> None:
        """Answer the next request with an error."""
        self._post("error", {"status": status, "body": {"message": message, "type": "server_error"}})

    def journal(self) -> list[Json]:
        """Return the requests since `load`, oldest first.

        Each has `method`, `path`, `headers`, `body` (always in the format of a chat request: `messages`, `tools` …) and
        `response` (`status`, `fixture`).
        """
        return self._http.get(f"{self.url}/__aimock/journal").raise_for_status().json()

    def requests(self) -> list[Json]:
        """Return the bodies of the requests to the model."""
        return [entry["body"] for entry in self.journal() if entry["method"] == "POST"]

    def unmatched(self) -> list[Json]:
        """Return the bodies of the requests that no fixture matched."""
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
            # In strict mode the server does not start without a fixture.
            file.write_text(json.dumps({"fixtures": self.fixtures or [says("a fixture that matches nothing", "")]}))
            leash = (node.HERE / "leash.mjs").as_uri()
            main = str(node.script("@copilotkit/aimock/dist/cli.js"))
            argv = [str(node.node()), "--import", leash, main, "--port", str(port), "--fixtures", str(file)]
            self._process = Process("aimock", [*argv, "--strict", "--journal-max", "0"], self._up)
            self._process.start()
        if not self.fixtures:
            self.load([])


def says(user_message: str, text: str, **match: Any) -> Json:
    """Return a fixture that answers `text` if the last user message contains `user_message`.

    Args:
        match: further conditions: `hasToolResult`, `toolResultContains`, `systemMessage`, `turnIndex`,
            `sequenceIndex`, `model` …
    """
    return {"match": {"userMessage": user_message, **match}, "response": {"content": text}}


def calls_tool(user_message: str, tool: str, arguments: Json | None = None, **match: Any) -> Json:
    """Return a fixture that calls a tool if the last user message contains `user_message` and has no result of it."""
    call = {"name": tool, "arguments": json.dumps(arguments or {})}
    return {
        "match": {"userMessage": user_message, "hasToolResult": False, **match},
        "response": {"toolCalls": [call]},
    }
