"""The registered providers, and the scopes that each is asked for."""

from collections.abc import Iterable

from oauth.provider import OAuthProvider
from oauth.settings import not_set
from oauth.token import Token


class ProviderRegistry:
    """The providers that toolkits have registered, each with the scopes that all toolkits need together.

    Args:
        base_url: see `OAuthCoordinator`.
    """

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._providers: dict[str, OAuthProvider] = {}
        self._scopes: dict[str, frozenset[str]] = {}

    @property
    def base_url(self) -> str:
        """The address of the gateway.

        Raises:
            SettingError: if it is not known.
        """
        if self._base_url is None:
            raise not_set(
                "UNDERSTUDY_BASE_URL",
                "People who sign in are sent back there: set it to the public address of this gateway, like "
                "https://bot.example.com.",
            )
        return self._base_url

    @base_url.setter
    def base_url(self, base_url: str) -> None:
        self._base_url = base_url

    def register(self, provider: OAuthProvider, scopes: Iterable[str]) -> None:
        """Add a provider, or more scopes to one that is registered."""
        self._providers[provider.name] = provider
        self._scopes[provider.name] = self._scopes.get(provider.name, frozenset()) | frozenset(scopes)

    def get(self, name: str) -> OAuthProvider | None:
        """Return a provider; `None` if it is not registered."""
        return self._providers.get(name)

    def names(self) -> list[str]:
        """Return the names of all providers, sorted."""
        return sorted(self._providers)

    def label(self, name: str) -> str:
        """Return what people call a provider; its name if it is not registered."""
        provider = self.get(name)
        return provider.label if provider is not None else name

    def scopes(self, name: str) -> frozenset[str]:
        """Return the scopes that a single consent to this provider asks for."""
        return self._scopes.get(name, frozenset())

    def is_incremental(self, name: str) -> bool:
        """Return whether a later consent to other scopes adds to what was granted before."""
        provider = self.get(name)
        return provider is not None and provider.incremental

    def permissions(self, name: str, token: Token) -> list[str]:
        """Return, in words, the registered scopes that a token has; all its scopes if the provider is unknown."""
        provider = self.get(name)
        if provider is None:
            return sorted(token.scopes)
        return [provider.permission(scope) for scope in sorted(token.scopes & self.scopes(name))]

    def redirect_uri(self, name: str) -> str:
        """Return the address to which a provider sends people back."""
        return f"{self.base_url}/oauth/{name}/callback"

    def sign_in_address(self, token: str) -> str:
        """Return the gateway's own short link to a provider's page."""
        return f"{self.base_url}/sign-in/{token}"
