"""A stand-in for Slack with token rotation: https://docs.slack.dev/authentication/using-token-rotation"""

import threading
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from peers.serving import Received
from starlette.responses import JSONResponse, Response

from oauth.store.installations import Installation
from support.channels.slack_api import SlackApi

CLIENT = {"client_id": "1.2", "client_secret": "s3cret-client"}
LIFETIME = 43_200  # seconds
TIMEOUT = 10.0  # seconds
MOST_ACTIVE = 2  # bot tokens of an installation: the oldest of more is revoked


@dataclass
class _Grant:
    """The tokens of an installation, the newest last."""

    active: list[str] = field(default_factory=list)
    refresh: str = ""


class RotatingSlackApi(SlackApi):
    """Slack's Web API with bot tokens that expire.

    A refresh token that was used works on until `end_grace`: Slack revokes it "after a short grace period".

    Attributes:
        refreshes: how often tokens were refreshed.
        errors: the errors of the next calls of `oauth.v2.access`.
        may_answer: `oauth.v2.access` answers only while it is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refreshes = 0
        self.errors: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._grants: dict[str, _Grant] = {}
        self._used: dict[str, str] = {}
        self._expired: set[str] = set()

    def install(self, tenant: str, *, expires_in: float = LIFETIME) -> Installation:
        """Return an installation with new tokens."""
        grant = self._grants[tenant] = _Grant()
        self._issue(tenant, grant)
        expires_at = datetime.now(UTC) + timedelta(seconds=expires_in)
        return Installation("slack", tenant, grant.active[-1], "UBOT", grant.refresh, expires_at)

    def expire(self, token: str) -> None:
        self._expired.add(token)

    def end_grace(self) -> None:
        """Revoke the refresh tokens that were used."""
        self._used.clear()

    def _issue(self, tenant: str, grant: _Grant) -> None:
        number = len(self._expired) + self.refreshes
        grant.active = [*grant.active, f"xoxe.xoxb-{tenant}-{number}"][-MOST_ACTIVE:]
        grant.refresh = f"xoxe-1-SECRET-{tenant}-{number}"

    def _answer(self, received: Received) -> Response:
        if received.path.endswith("/oauth.v2.access"):
            basic = b64encode(":".join(CLIENT.values()).encode()).decode()
            if received.headers.get("authorization") != f"Basic {basic}":
                return JSONResponse({"ok": False, "error": "bad_client_secret"})
            return JSONResponse(self._refresh(dict(received.form)))
        token = received.headers["authorization"].removeprefix("Bearer ")
        if token in self._expired:
            return JSONResponse({"ok": False, "error": "token_expired"})
        if not any(token in grant.active for grant in self._grants.values()):
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        return super()._answer(received)

    def _refresh(self, form: dict[str, str]) -> dict[str, Any]:
        """Answer a refresh: https://docs.slack.dev/reference/methods/oauth.v2.access"""
        assert self.may_answer.wait(TIMEOUT)
        if self.errors:
            return {"ok": False, "error": self.errors.pop(0)}
        assert form["grant_type"] == "refresh_token"
        given = form["refresh_token"]
        current = (tenant for tenant, grant in self._grants.items() if grant.refresh == given)
        tenant = next(current, self._used.get(given))
        if tenant is None:
            return {"ok": False, "error": "invalid_refresh_token"}
        self._used[given] = tenant
        self.refreshes += 1
        grant = self._grants[tenant]
        self._issue(tenant, grant)
        return {
            "ok": True,
            "access_token": grant.active[-1],
            "expires_in": LIFETIME,
            "refresh_token": grant.refresh,
            "token_type": "bot",
            "scope": "chat:write",
            "bot_user_id": "UBOT",
            "app_id": "A1",
            "team": {"id": tenant, "name": tenant},
            "enterprise": None,
        }
