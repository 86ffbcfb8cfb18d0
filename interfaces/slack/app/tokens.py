"""The bot tokens of installations, which expire after twelve hours if token rotation is on.

A refresh token works once: Slack revokes it "after a short grace period". The bot token that is replaced works until it
expires. So a process that dies between Slack's answer and the commit leaves a refresh token that works only during that
period. If it ends before the next try, the stored bot token still works for two hours, in which the workspace can
install the app again.

https://docs.slack.dev/authentication/using-token-rotation
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from gateway.channels import DeliveryError, RecipientUnreachableError
from gateway.logs import describe
from interfaces.slack.errors import reason_of, slack_errors
from interfaces.slack.pauses import Pauses
from interfaces.slack.settings import ManyWorkspacesSettings
from oauth.errors import GrantRevokedError
from oauth.store.installations import Installation, InstallationStore, StoredInstallation
from oauth.store.refreshing import RefreshedRow, SingleRefresh
from oauth.timings import DEFAULT_OAUTH_TIMINGS, OAuthTimings

MARGIN = timedelta(hours=2)  # before its expiry a token is refreshed, as Bolt does it
PAUSE = 60.0  # seconds between two tries to refresh a token that has not expired yet
REJECTED = frozenset({"invalid_auth", "token_expired"})
# https://docs.slack.dev/reference/methods/oauth.v2.access#errors
ENDED = frozenset({"account_inactive", "invalid_grant", "invalid_refresh_token", "token_revoked"})

Renew = Callable[[str], Awaitable[str]]
"""Returns the token that replaces one that Slack rejected."""

log = logging.getLogger(__name__)


class MakeClient(Protocol):
    """Makes a client of the Web API with a token, or with none: see `SlackClient`."""

    def __call__(self, token: str | None, renew: Renew | None = None) -> AsyncWebClient: ...


class SlackClient(AsyncWebClient):
    """A client of the Web API, which renews a rejected token and repeats the call once.

    Args:
        renew: renews the token; `None` if it does not expire.
    """

    def __init__(self, token: str | None, renew: Renew | None = None, **options: Any) -> None:
        super().__init__(token, **options)
        self._renew = renew

    async def api_call(self, api_method: str, **arguments: Any) -> AsyncSlackResponse:
        try:
            return await super().api_call(api_method, **arguments)
        except SlackApiError as error:
            if self._renew is None or self.token is None or reason_of(error) not in REJECTED:
                raise
            self.token = await self._renew(self.token)
        return await super().api_call(api_method, **arguments)


class BotTokens:
    """The bot tokens of all installations of the app, refreshed in time and once across processes.

    Args:
        client: a client of the Web API without a token.
        install_address: the page where a workspace installs the app.
    """

    def __init__(
        self,
        store: InstallationStore,
        settings: ManyWorkspacesSettings,
        client: AsyncWebClient,
        install_address: str,
        timings: OAuthTimings = DEFAULT_OAUTH_TIMINGS,
    ) -> None:
        self._store = store
        self._settings = settings
        self._client = client
        self._install_address = install_address
        self._single = SingleRefresh(timings)
        self._pauses = Pauses()

    async def current(self, installation: Installation) -> str:
        """Return a token that does not expire soon, or one that has not expired if Slack issues no other.

        Raises:
            RecipientUnreachableError: if the token has expired and Slack issues no other.
            ConnectionError: if it has expired, and Slack could not be asked for another.
        """
        expires_at, now = installation.expires_at, datetime.now(UTC)
        if expires_at is None or expires_at - MARGIN > now:
            return installation.bot_token
        if expires_at > now and self._pauses.hold(installation.tenant):
            return installation.bot_token
        try:
            return await self.renew(installation, installation.bot_token)
        except (RecipientUnreachableError, ConnectionError):
            if expires_at <= now:
                raise
            self._pauses.begin(installation.tenant, PAUSE)
            return installation.bot_token

    async def renew(self, installation: Installation, rejected: str) -> str:
        """Return the token that replaces one that Slack rejected, or that expires soon.

        Raises:
            RecipientUnreachableError: if Slack issues no other.
            ConnectionError: if Slack could not be asked.
        """
        if installation.problem is not None:
            raise _unreachable(installation, installation.problem)
        row = _InstallationRow(self._store, installation, self._refresh, self._install_address)
        try:
            renewed = await self._single.run(
                (installation.channel, installation.tenant), row, lambda found: found.bot_token != rejected
            )
        except GrantRevokedError as reason:
            raise _unreachable(installation, str(reason)) from None
        except TimeoutError:
            raise ConnectionError(f"the bot token of {installation.tenant} was not refreshed in time") from None
        return renewed.bot_token

    async def _refresh(self, installation: Installation) -> Installation:
        """Exchange the refresh token: https://docs.slack.dev/reference/methods/oauth.v2.access"""
        if installation.problem is not None or installation.refresh_token is None:
            raise GrantRevokedError(installation.problem or "it has no refresh token")
        try:
            with slack_errors():
                answer = await self._client.oauth_v2_access(
                    client_id=self._settings.client_id,
                    client_secret=self._settings.client_secret.get_secret_value(),
                    grant_type="refresh_token",
                    refresh_token=installation.refresh_token,
                )
        except DeliveryError as error:
            if str(error) in ENDED:
                raise GrantRevokedError(str(error)) from None
            log.error(  # noqa: TRY400 - the traceback would say nothing more
                "Slack did not refresh the bot token of the workspace %s, which is tried again: %s",
                installation.tenant,
                describe(error),
            )
            raise ConnectionError(f"Slack did not refresh a bot token: {describe(error)}") from None
        expires_at = datetime.now(UTC) + timedelta(seconds=int(answer["expires_in"]))
        return replace(
            installation,
            bot_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=expires_at,
        )


def _unreachable(installation: Installation, reason: str) -> RecipientUnreachableError:
    return RecipientUnreachableError(f"Slack issues no new bot token for the workspace {installation.tenant}: {reason}")


class _InstallationRow(RefreshedRow[StoredInstallation, Installation]):
    def __init__(
        self,
        store: InstallationStore,
        installation: Installation,
        refresh: Callable[[Installation], Awaitable[Installation]],
        install_address: str,
    ) -> None:
        self._store = store
        self._of = (installation.channel, installation.tenant)
        self._refresh = refresh
        self._install_address = install_address

    def token(self, stored: StoredInstallation) -> Installation:
        return stored.installation

    async def load(self) -> StoredInstallation | None:
        return await self._store.find(*self._of)

    async def begin_refresh(self, known: StoredInstallation, lease: timedelta) -> bool:
        return await self._store.begin_refresh(known, lease)

    async def refresh(self, token: Installation) -> Installation:
        return await self._refresh(token)

    async def replace(self, known: StoredInstallation, renewed: Installation) -> bool:
        return await self._store.replace(known, renewed)

    async def give_up_refresh(self, known: StoredInstallation) -> None:
        await self._store.give_up_refresh(known)

    async def end(self, known: StoredInstallation, reason: GrantRevokedError) -> None:
        marked = replace(known.installation, problem=str(reason))
        if await self._store.replace(known, marked) and known.installation.problem is None:
            log.error(
                "Slack issues no new bot token for the workspace %s (%s), and the bot does not answer there once the "
                "present one has expired: have the workspace install the app again at %s",
                known.installation.tenant,
                reason,
                self._install_address,
            )
