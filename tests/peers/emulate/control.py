"""Control a server of `emulate`: read the journal of its calls, and script failures. See preload/control.mjs."""

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
    """A request that a server got.

    Attributes:
        person: the owner of the request's token: at Google an e-mail address, at Slack a user id. `None` if the request
            has no token or an unknown one.
        status: the status of the answer; `None` until there is one.
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
        """The parameters of the query, and of the body, which is a form or JSON."""
        params: Json = dict(parse_qsl(self.query, keep_blank_values=True))
        if self.body.startswith("{"):
            return params | json.loads(self.body)
        return params | dict(parse_qsl(self.body, keep_blank_values=True))


class Control:
    """A client for the `/_peers` routes of a server."""

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
        """Return the requests since the last reset, oldest first.

        With `path`, return only those whose path ends with it.
        """
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
        """Answer the next `times` requests for exactly this path with an error.

        Args:
            status: the status of the error. Without it, the requests are only delayed.
            after: carry each request out before the error, as if its answer were lost on the way.
            delay: seconds before each request is carried out or answered.
        """
        failure = {"path": path, "status": status, "times": times, "headers": dict(headers or {})}
        self.post("fail", **failure, method=method, body=body, after=after, delay=delay)

    def heal(self) -> None:
        """Remove all scripted failures."""
        self.post("heal")
