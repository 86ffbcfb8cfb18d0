"""The control routes that each emulated server has for tests (preload/control.mjs): a journal, scripted failures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx

Json = dict[str, Any]
TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class Call:
    """One request that a server got.

    `person` is the owner of the token that it carried (Google: an email address; Slack: a user id), None if it carried
    none or an unknown one. `status` is None until the request is answered.
    """

    method: str
    path: str
    query: str
    authorization: str | None
    person: str | None
    body: str
    status: int | None

    @property
    def params(self) -> Json:
        """Its parameters, from the query and from the form or JSON body."""
        params: Json = dict(parse_qsl(self.query, keep_blank_values=True))
        if self.body.startswith("{"):
            return params | json.loads(self.body)
        return params | dict(parse_qsl(self.body, keep_blank_values=True))


class Control:
    """One server's `/_peers` routes."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.url = url
        self._http = http

    def get(self, name: str) -> Any:
        return self._http.get(f"{self.url}/_peers/{name}").raise_for_status().json()

    def post(self, name: str, **body: Any) -> None:
        self._http.post(f"{self.url}/_peers/{name}", json=body).raise_for_status()

    def up(self) -> bool:
        return self._http.get(f"{self.url}/_peers/calls").status_code == 200

    def calls(self, path: str | None = None) -> list[Call]:
        """Return the requests since the last reset, oldest first; with `path` those whose path ends with that."""
        found = (Call(**call) for call in self.get("calls"))
        return [call for call in found if path is None or call.path.endswith(path)]

    def fail(
        self,
        path: str,
        status: int = 0,
        *,
        times: int = 1,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Json | str | None = None,
        after: bool = False,
        delay: float = 0,
    ) -> None:
        """Answer the next `times` requests for exactly `path` with `status`, `headers` and `body`.

        Args:
            after: carry each request out first, so that only its answer is lost.
            delay: seconds that each waits. Without a `status` it is then carried out and answered as usual.
        """
        failure = {"path": path, "status": status, "times": times, "headers": dict(headers or {})}
        self.post("fail", **failure, method=method, body=body, after=after, delay=delay)

    def heal(self) -> None:
        """Take all scripted failures back."""
        self.post("heal")
