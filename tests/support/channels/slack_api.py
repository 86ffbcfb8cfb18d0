"""A stand-in for Slack's Web API that knows every workspace and every token."""

from typing import Any

from peers import seed
from peers.serving import Received, Receiver
from starlette.responses import JSONResponse, Response


class SlackApi(Receiver):
    """Slack's Web API for any workspace, which accepts every call and records its token."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = self._answer

    def _answer(self, received: Received) -> Response:
        opened = {"id": f"D-{received.query.get('users', '')}"}
        return JSONResponse({"ok": True, "ts": "1.1", "user_id": seed.SLACK_BOT_USER_ID, "channel": opened})

    def posted(self, token: str) -> list[dict[str, Any]]:
        """Return the fields of the messages that were posted with a token."""
        return [
            _fields(received)
            for received in self.requests
            if received.path.endswith("chat.postMessage") and received.headers["authorization"] == f"Bearer {token}"
        ]

    def said(self, token: str) -> list[str]:
        """Return the texts that were posted with a token."""
        return [fields.get("text", "") for fields in self.posted(token)]


def _fields(received: Received) -> dict[str, Any]:
    if received.headers["content-type"].startswith("application/json"):
        fields: dict[str, Any] = received.json
        return fields
    return dict(received.form)
