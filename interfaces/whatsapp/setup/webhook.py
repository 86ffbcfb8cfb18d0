"""Check at the start whether Twilio calls the webhook of this gateway.

The address is a setting of the sender (https://www.twilio.com/docs/whatsapp/api/senders), or of its Messaging Service
(https://www.twilio.com/docs/messaging/api/service-resource). The API does not show the address of the sandbox.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from twilio.rest import Client

from gateway.channels import DeliveryError
from gateway.logs import describe
from interfaces.whatsapp.errors import twilio_errors
from interfaces.whatsapp.parse import PREFIX, is_service
from oauth.settings import is_loopback

CHECK_TIMEOUT = 5.0  # seconds for the whole check
RETRIES = "#rc=5&rp=all"  # https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides

Called = tuple[str, str]
"""The address that Twilio calls, which may be empty, and the method."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Update:
    """A change of a sender's webhook. The library's own class would also send an empty profile."""

    webhook: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"webhook": self.webhook}


async def check_webhook(client: Client, sender: str, address: str) -> None:
    """Set the address of a sender's webhook if it has none, and log a line if Twilio calls another one.

    An address that somebody has set is never overwritten.

    Args:
        sender: the number or the Messaging Service.
        address: the address of this gateway's webhook.
    """
    try:
        with twilio_errors():
            async with asyncio.timeout(CHECK_TIMEOUT):
                await (_check_service if is_service(sender) else _check_sender)(client, sender, address)
    except (DeliveryError, ConnectionError, TimeoutError) as error:
        log.warning("Twilio did not tell which webhook %s has. It has to be %s. %s", sender, address, describe(error))


async def called_address(client: Client, sender: str) -> Called | None:
    """Return the address that Twilio calls for messages to a sender; `None` if Twilio's API does not show it.

    Raises:
        Exception: as the library does.
    """
    if is_service(sender):
        service = await client.messaging.v1.services(sender).fetch_async()
        if service.use_inbound_webhook_on_number:
            return None
        return _called(service.inbound_request_url, service.inbound_method)
    found = await _find_sender(client, sender)
    if found is None:
        return None
    webhook: dict[str, Any] = dict(found.webhook or {})
    return _called(webhook.get("callback_url"), webhook.get("callback_method"))


def is_same(called: Called, address: str) -> bool:
    """Return whether Twilio calls the webhook with an address."""
    return called == (address, "POST")


def _called(url: str | None, method: str | None) -> Called:
    return (url or "").partition("#")[0], method or "POST"


async def _find_sender(client: Client, number: str) -> Any:
    async for each in await client.messaging.v2.channels_senders.stream_async(channel="whatsapp"):
        if each.sender_id == PREFIX + number:
            return each
    return None


async def _check_sender(client: Client, number: str, address: str) -> None:
    found = await _find_sender(client, number)
    if found is None:
        log.info(
            "Twilio's API does not show the webhook of %s, as it is the sandbox's or another account's. It has to be "
            "%s: see https://console.twilio.com.",
            number,
            address,
        )
        return
    webhook: dict[str, Any] = dict(found.webhook or {})
    if not webhook.get("callback_url") and not is_loopback(address):
        kept = {name: value for name, value in webhook.items() if value}
        new = {**kept, "callback_url": address + RETRIES, "callback_method": "POST"}
        await found.update_async(_Update(new))
        log.info("the webhook of %s is now %s", number, address)
    else:
        _compare(number, _called(webhook.get("callback_url"), webhook.get("callback_method")), address)


async def _check_service(client: Client, sid: str, address: str) -> None:
    if (called := await called_address(client, sid)) is not None:
        return _compare(sid, called, address)
    log.info("the Messaging Service %s leaves webhooks to its senders: the webhook of each has to be %s", sid, address)
    return None


def _compare(sender: str, called: Called, address: str) -> None:
    if is_same(called, address):
        log.debug("the webhook of %s is %s", sender, address)
        return
    url, method = called
    log.warning(
        "Twilio calls %s (%s) for messages to %s, and not %s (POST), so this gateway does not get them. Change it at "
        "https://console.twilio.com, or UNDERSTUDY_BASE_URL, if that is not the gateway's public address.",
        url or "no address",
        method,
        sender,
        address,
    )
