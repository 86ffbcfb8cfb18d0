"""The time limits of codes, token refreshes and revocations."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OAuthTimings:
    """The lifetimes, waits and intervals of the consent loop, in seconds. Tests use shorter ones.

    Args:
        code: how long a code from the consent page is valid.
        refresh_margin: how long before its expiry a token is refreshed. Longer than a turn may take, so that no
            token expires during one.
        refresh_lease: how long one process may take to refresh a token, while others wait. Longer than a provider
            may take.
        refresh_poll: the interval at which a process looks whether another one has refreshed a token.
        refresh_wait: how long a turn waits for a token to be refreshed, by this process or another.
        revocation_retry: the wait between two attempts to revoke a token at a provider.
        revocation_attempts: the number of attempts before a revocation is given up. The default lasts a day.
    """

    code: float = 600.0
    refresh_margin: float = 360.0
    refresh_lease: float = 30.0
    refresh_poll: float = 0.1
    refresh_wait: float = 60.0
    revocation_retry: float = 300.0
    revocation_attempts: int = 288


DEFAULT_OAUTH_TIMINGS = OAuthTimings()
