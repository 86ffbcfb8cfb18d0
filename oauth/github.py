"""GitHub as an OAuth provider: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps"""

from collections.abc import Mapping
from typing import Any

import httpx2
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from oauth.oauth2 import CALL_TIMEOUT, OAuth2Provider
from oauth.settings import ServiceUrl, Settings
from oauth.token import Token

GRANT_ENDED = (404, 422)  # GitHub's status codes when the grant to delete has ended already

# https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
PERMISSIONS = {
    "repo": "read and change your repositories, private ones included",
    "public_repo": "read and change your public repositories",
    "read:user": "read your profile",
    "user:email": "read your e-mail addresses",
    "user": "read and change your profile",
    "gist": "write gists",
    "notifications": "read your notifications",
    "read:org": "see your organizations and teams",
    "workflow": "change GitHub Actions workflows",
}
# GitHub's answer does not name the scopes that a granted scope includes.
INCLUDED = {
    "repo": frozenset({"public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"}),
    "user": frozenset({"read:user", "user:email", "user:follow"}),
    "admin:org": frozenset({"write:org", "read:org"}),
    "write:org": frozenset({"read:org"}),
}


class GitHubSettings(Settings):
    """The addresses of GitHub, or of a GitHub Enterprise Server."""

    model_config = SettingsConfigDict(env_prefix="GITHUB_")

    base_url: ServiceUrl = Field(
        default="https://github.com",
        description="It is the address of a GitHub Enterprise Server; leave it out for GitHub itself.",
    )
    api_url: ServiceUrl = Field(
        default="https://api.github.com",
        description="It is the API address of that server, like https://github.example.com/api/v3.",
    )


class GitHub(OAuth2Provider):
    """Lets people connect their GitHub account, through an OAuth app or a GitHub App.

    Args:
        client_id: Default: GITHUB_CLIENT_ID.
        client_secret: Default: GITHUB_CLIENT_SECRET.
        base_url: Default: GITHUB_BASE_URL.
        api_url: Default: GITHUB_API_URL.
    """

    def __init__(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        base_url: str | None = None,
        api_url: str | None = None,
    ) -> None:
        settings = GitHubSettings(base_url=base_url, api_url=api_url)
        super().__init__(
            "github",
            "GitHub",
            authorization_endpoint=f"{settings.base_url}/login/oauth/authorize",
            token_endpoint=f"{settings.base_url}/login/oauth/access_token",
            account_endpoint=f"{settings.api_url}/user",
            account_field="login",
            permissions=PERMISSIONS,
            client_id=client_id,
            client_secret=client_secret,
            client_authentication="client_secret_post",
        )
        self.api_url = settings.api_url

    def granted_scopes(self, answer: Mapping[str, Any]) -> frozenset[str]:
        """Return the scopes in an answer, which GitHub separates by commas, and the scopes that they include."""
        scopes = frozenset(str(answer.get("scope") or "").replace(",", " ").split())
        return scopes.union(*(INCLUDED.get(scope, frozenset()) for scope in scopes))

    def is_revoked(self, error: str) -> bool:
        """Return whether an error means that the refresh token is no longer valid; GitHub has its own error for it."""
        return error in ("bad_refresh_token", "invalid_grant")

    async def revoke(self, token: Token) -> None:
        """Delete the grant: https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-authorization"""
        client = (self._client_id, self._client_secret.get_secret_value())
        async with httpx2.AsyncClient(timeout=CALL_TIMEOUT) as github:
            answer = await github.request(
                "DELETE",
                f"{self.api_url}/applications/{self._client_id}/grant",
                auth=client,
                json={"access_token": token.access_token},
                headers={"Accept": "application/vnd.github+json"},
            )
        if answer.status_code not in GRANT_ENDED:
            answer.raise_for_status()
