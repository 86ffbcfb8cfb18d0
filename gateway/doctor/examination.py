"""Run all checks, side by side, each with a time limit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.app.gateway import Gateway
from gateway.channels.diagnosis import Finding, Mark, ok, problem
from gateway.channels.interface import BotProfile, Interface
from gateway.configuration.discovery import configured_interfaces
from gateway.configuration.loader import load_gateway
from gateway.doctor.address import check_address, check_port, check_redirects
from gateway.doctor.environment import check_environment
from gateway.doctor.model import check_model
from gateway.doctor.storage import check_storage
from gateway.logs import describe
from gateway.settings import GatewaySettings
from gateway.storage.connect import connect
from oauth import Keyring
from oauth.settings import each_error, gathered_errors, going_on, setting_of

DEFAULT_PORT = 8000
CHECK_TIMEOUT = 30.0  # seconds for one group of checks


@dataclass(frozen=True, slots=True)
class SetUp:
    """A set-up as it was loaded.

    Args:
        gateway: `None` if there is no file, or it could not be loaded.
        errors: an error for each setting that is missing or malformed, and for what else is wrong with the file.
    """

    gateway: Gateway | None
    interfaces: Sequence[Interface]
    settings: GatewaySettings
    errors: Sequence[Exception]


def load_set_up(target: str | None) -> SetUp:
    """Load an operator's file, with placeholders for what is missing or malformed.

    Call it outside of an event loop, as a start does: a file may run one of its own.

    Args:
        target: `FILE` or `FILE:NAME`; `None` for what the environment sets up.
    """
    gateway: Gateway | None = None
    interfaces: Sequence[Interface] = ()
    with gathered_errors() as errors:
        if target is not None:
            gateway = load_gateway(target)
            interfaces = list(gateway.interfaces.values())
        else:
            interfaces = configured_interfaces()
    with gathered_errors() as own_errors:
        settings = gateway.settings if gateway is not None else GatewaySettings()
        if gateway is None:  # which would have found these errors
            with going_on():
                connect(settings.database_url)
            with going_on():
                Keyring.parse(settings.secret_key.get_secret_value() if settings.secret_key else Keyring.generate())
    return SetUp(gateway, interfaces, settings, each_error([*errors, *own_errors]))


async def examine(set_up: SetUp, *, asks_model: bool = False, listens: tuple[str, int] | None = None) -> list[Finding]:
    """Return the findings about a set-up. Nothing is changed: no database is created or upgraded, no webhook is set.

    Args:
        asks_model: whether to send a short question to each model, which costs money.
        listens: the host and the port that the gateway is to listen on.
    """
    gateway, settings = set_up.gateway, set_up.settings
    findings = [_finding(error) for error in set_up.errors]
    channels = [(interface, _profile(set_up, interface)) for interface in set_up.interfaces]
    checks = {"environment": check_environment(), "storage": check_storage(settings, gateway, channels)}
    if listens is not None:
        checks["port"] = check_port(*listens)
    if settings.base_url is not None:
        checks["public address"] = check_address(settings.base_url)
    if gateway is not None:
        checks["redirect URI"] = check_redirects(gateway, listens[1] if listens is not None else DEFAULT_PORT)
        checks["model"] = check_model(gateway, asks=asks_model)
    for interface, profile in channels:
        checks[interface.channel] = interface.diagnose(profile)
    findings = findings or [ok("settings", "Nothing is missing or malformed.")]
    for found in await asyncio.gather(*(_collected(*check) for check in checks.items())):
        findings += found
    return findings


def has_problem(findings: list[Finding]) -> bool:
    """Return whether a finding is a problem."""
    return any(finding.mark is Mark.PROBLEM for finding in findings)


def _finding(error: Exception) -> Finding:
    setting = setting_of(error)
    return Finding(Mark.PROBLEM, "settings", str(error), setting.name if setting is not None else None)


def _profile(set_up: SetUp, interface: Interface) -> BotProfile:
    if set_up.gateway is None:
        return BotProfile(set_up.settings.base_url, "Understudy")
    return set_up.gateway.profile(interface.channel)


async def _collected(subject: str, check: AsyncIterator[Finding]) -> list[Finding]:
    """Return what a check finds until it ends, fails or takes too long."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            async for finding in check:
                found.append(finding)
    except TimeoutError:
        found.append(problem(subject, f"The check took more than {CHECK_TIMEOUT:.0f} s: try again."))
    except Exception as error:  # noqa: BLE001 - a check may be of somebody else's channel
        found.append(problem(subject, f"The check failed: {describe(error)}."))
    return found
