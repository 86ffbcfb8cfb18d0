"""The workspaces that the app is installed in, and the bot token of each.

https://docs.slack.dev/authentication/installing-with-oauth
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.oauth.installation_store import Installation as SlackInstallation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.channels import Interface, RecipientUnreachableError
from interfaces.slack.app.tokens import BotTokens, MakeClient
from interfaces.slack.parse import Body, organization_of, tenant_of
from interfaces.slack.settings import ManyWorkspacesSettings, OneWorkspaceSettings
from oauth.store.installations import Installation, InstallationStore

INSTALL_ADDRESS = "/slack/install"
REDIRECT_ADDRESS = "/slack/oauth_redirect"


log = logging.getLogger(__name__)


class Workspaces(Protocol):
    """The workspaces that the app is installed in."""

    def routes(self) -> list[BaseRoute]:
        """Return the pages by which a workspace installs the app."""
        ...

    async def client(self, tenant: str) -> AsyncWebClient:
        """Return a client of the Web API with a workspace's own token.

        Raises:
            RecipientUnreachableError: if the app is not installed there.
        """
        ...

    async def bot_user(self, body: Body) -> str | None:
        """Return the bot's user id in the workspace of an event; `None` if it is not known."""
        ...

    async def is_installed(self, body: Body) -> bool:
        """Return whether the app is installed in the workspace of an event or a slash command.

        A workspace of an organization that installed the app as a whole is added by its first event.
        """
        ...

    async def forget(self, body: Body) -> None:
        """Forget a workspace that uninstalled the app or revoked its token."""
        ...


class OneWorkspace:
    """The workspace that the operator's bot token is for.

    Attributes:
        bot: the bot's user id; `None` if Slack could not be asked.
    """

    def __init__(self, client: AsyncWebClient, settings: OneWorkspaceSettings) -> None:
        self._client = client
        self._variable = settings.variable("bot_token")
        self.bot: str | None = None

    def routes(self) -> list[BaseRoute]:
        return []

    async def client(self, tenant: str) -> AsyncWebClient:
        return self._client

    async def bot_user(self, body: Body) -> str | None:
        return self.bot

    async def is_installed(self, body: Body) -> bool:
        return True

    async def forget(self, body: Body) -> None:
        log.warning(
            "Slack reports that the app was uninstalled or %s revoked. The bot cannot answer then: install the app "
            "again and set the new token",
            self._variable,
        )


class ManyWorkspaces:
    """All workspaces that install the app at `/slack/install`, each with its own bot token.

    Args:
        interface: the channel, whose name is in the addresses.
        scopes: the bot scopes that a workspace is asked for.
    """

    def __init__(
        self,
        interface: Interface,
        settings: ManyWorkspacesSettings,
        make_client: MakeClient,
        scopes: Sequence[str],
    ) -> None:
        self._channel = interface.channel
        self._install_address = interface.path_of(INSTALL_ADDRESS)
        self._redirect_address = interface.path_of(REDIRECT_ADDRESS)
        self._settings = settings
        self._scopes = scopes
        self._make_client = make_client
        self._store: InstallationStore | None = None
        self._tokens: BotTokens | None = None
        self._flow: AsyncOAuthFlow | None = None

    def open(self, store: InstallationStore, base_url: str) -> None:
        """Set up the installation of the app.

        Args:
            base_url: the gateway's public address.
        """
        self._store = store
        client = self._make_client(None)
        self._tokens = BotTokens(store, self._settings, client, f"{base_url}{self._install_address}")
        self._flow = AsyncOAuthFlow(
            client=client,
            settings=AsyncOAuthSettings(
                client_id=self._settings.client_id,
                client_secret=self._settings.client_secret.get_secret_value(),
                scopes=self._scopes,
                authorization_url=f"{self._settings.api_url.removesuffix('/api')}/oauth/v2/authorize",
                redirect_uri=f"{base_url}{self._redirect_address}",
                install_path=self._install_address,
                redirect_uri_path=self._redirect_address,
                installation_store=_BoltInstallations(self._channel, store),
                state_store=_BoltStates(self._channel, store),
            ),
        )

    def routes(self) -> list[BaseRoute]:
        return [
            Route(self._install_address, self._install, methods=["GET"]),
            Route(self._redirect_address, self._installed, methods=["GET"]),
        ]

    async def client(self, tenant: str) -> AsyncWebClient:
        installation = await self._opened().load(self._channel, tenant)
        if installation is None:
            raise RecipientUnreachableError(f"the app is not installed in the workspace {tenant}")
        if installation.refresh_token is None:
            return self._make_client(installation.bot_token)
        assert self._tokens is not None, "the channel is not started"
        return self._make_client(await self._tokens.current(installation), partial(self._tokens.renew, installation))

    async def bot_user(self, body: Body) -> str | None:
        team = tenant_of(body)
        installation = None if team is None else await self._opened().load(self._channel, team)
        return None if installation is None else installation.bot_user_id

    async def is_installed(self, body: Body) -> bool:
        store, team = self._opened(), tenant_of(body)
        if team is None:
            return False
        if await store.load(self._channel, team) is not None:
            return True
        organization = organization_of(body)
        if organization is None or await store.load(self._channel, organization) is None:
            return False
        await store.save_member(self._channel, team, organization)
        return True

    async def forget(self, body: Body) -> None:
        """Delete the token of a workspace that removed the app.

        https://docs.slack.dev/reference/events/app_uninstalled, …/tokens_revoked and …/team_access_revoked
        """
        event = body["event"]
        if event["type"] == "team_access_revoked":  # an organization took the app from some of its workspaces
            for team in event.get("team_ids") or ():
                await self._opened().delete(self._channel, str(team))
            return
        is_revoked = event["type"] == "tokens_revoked"
        if is_revoked and not (event.get("tokens") or {}).get("bot"):
            return  # only tokens of people, which are not stored
        # The event of an organization-wide installation may name nothing but the organization.
        whole = body.get("enterprise_id") if body.get("is_enterprise_install") else organization_of(body)
        tenant = whole or tenant_of(body) or body.get("enterprise_id")
        if not tenant:
            log.warning("Slack reports that the app was uninstalled or its token revoked, but not in which workspace")
        elif is_revoked and await self._rotates(str(tenant)):
            return  # one of the tokens that were replaced; `app_uninstalled` tells if the app is removed
        elif await self._opened().revoke(self._channel, str(tenant)):
            log.info("the app was removed from the workspace %s, whose token is deleted", tenant)

    async def _rotates(self, tenant: str) -> bool:
        installation = await self._opened().load(self._channel, tenant)
        return installation is not None and installation.refresh_token is not None

    async def _install(self, request: Request) -> Response:
        assert self._flow is not None
        return _response(await self._flow.handle_installation(_bolt_request(request)))

    async def _installed(self, request: Request) -> Response:
        assert self._flow is not None
        return _response(await self._flow.handle_callback(_bolt_request(request)))

    def _opened(self) -> InstallationStore:
        assert self._store is not None, "the channel is not started"
        return self._store


class _BoltInstallations(AsyncInstallationStore):
    """Stores the bot token and the bot's user id of an installation by Bolt's flow."""

    def __init__(self, channel: str, store: InstallationStore) -> None:
        self._channel = channel
        self._store = store

    @property
    def logger(self) -> logging.Logger:
        return log

    async def async_save(self, installation: SlackInstallation) -> None:
        tenant = installation.enterprise_id if installation.is_enterprise_install else installation.team_id
        assert tenant is not None
        assert installation.bot_token is not None
        expires_at = installation.bot_token_expires_at
        await self._store.save(
            Installation(
                self._channel,
                tenant,
                installation.bot_token,
                installation.bot_user_id,
                installation.bot_refresh_token,
                None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
            )
        )
        log.info("the app was installed in the workspace %s", tenant)


class _BoltStates(AsyncOAuthStateStore):
    """Makes signed OAuth states, which are not stored: Bolt's flow binds each to the browser that it was made for."""

    def __init__(self, channel: str, store: InstallationStore) -> None:
        self._channel = channel
        self._store = store

    @property
    def logger(self) -> logging.Logger:
        return log

    async def async_issue(self, *args: object, **kwargs: object) -> str:
        return self._store.new_state(self._channel)

    async def async_consume(self, state: str) -> bool:
        return self._store.is_state(self._channel, state)


def _bolt_request(request: Request) -> AsyncBoltRequest:
    headers: dict[str, str | Sequence[str]] = {name: request.headers.getlist(name) for name in request.headers}
    return AsyncBoltRequest(body="", query=str(request.url.query), headers=headers)


def _response(answer) -> Response:  # type: ignore[no-untyped-def]
    response = Response(answer.body, status_code=answer.status)
    for name, values in answer.headers.items():
        for value in values:
            response.headers.append(name, value)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
