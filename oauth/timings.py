"""How long codes are good, and how long refreshes and revocations take and wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OAuthTimings:
    """The lifetimes, waits and intervals of the consent loop, in seconds. Tests give shorter ones.

    Args:
        code: for a code from the consent page to be sent in the chat.
        refresh_margin: before a token expires, it is refreshed. Longer than a turn may take, so that no token expires
            during one.
        refresh_lease: for one process to refresh a token, while the others wait. Longer than a provider may take.
        refresh_poll: between two looks at a token that another process refreshes.
        refresh_wait: for a token to be refreshed, whoever does it.
        revocation_retry: between two tries to revoke a token at a provider.
        revocation_attempts: tries, after which a revocation is given up. The default makes a day of them.
    """

    code: float = 600.0
    refresh_margin: float = 360.0
    refresh_lease: float = 30.0
    refresh_poll: float = 0.1
    refresh_wait: float = 60.0
    revocation_retry: float = 300.0
    revocation_attempts: int = 288


DEFAULT_OAUTH_TIMINGS = OAuthTimings()
