"""Try the account at Twilio, and look at the webhook of the sender."""

from collections.abc import AsyncIterator

from twilio.rest import Client

from gateway.channels import DeliveryError
from gateway.channels.diagnosis import Finding, ok, problem, warning
from interfaces.whatsapp.errors import twilio_errors
from interfaces.whatsapp.setup.webhook import called_address, is_same

ACTIVE = "active"


async def try_account(client: Client, channel: str, sender: str, url: str | None) -> AsyncIterator[Finding]:
    """Try the account, and compare its webhook with the one of this gateway.

    https://www.twilio.com/docs/iam/api/account

    Args:
        sender: the number or the Messaging Service.
        url: the address of this gateway's webhook; `None` if its public address is not set.
    """
    subject = f"{channel} account"
    try:
        with twilio_errors():
            account = await client.api.v2010.accounts(client.account_sid).fetch_async()
            if account.status != ACTIVE:
                yield problem(subject, f"Twilio says that the account is {account.status}: see its console.")
                return
            yield ok(subject, f"Twilio takes the settings, as {account.friendly_name}.")
            subject = f"{channel} webhook"
            if url is None:
                yield problem(
                    subject,
                    "UNDERSTUDY_BASE_URL is not set, and Twilio signs the address that it calls: set it to the public "
                    "address of this gateway, like https://bot.example.com.",
                )
                return
            called = await called_address(client, sender)
    except (DeliveryError, ConnectionError) as error:
        yield problem(
            subject,
            f"Twilio does not take the call: {error}. Compare the Account SID, the Auth Token and the sender with "
            "https://console.twilio.com.",
        )
        return
    if called is None:
        yield warning(subject, f"Twilio's API does not show it. In https://console.twilio.com it has to be {url}.")
    elif is_same(called, url):
        yield ok(subject, f"Twilio calls {url}.")
    else:
        yield warning(
            subject,
            f"Twilio calls {called[0] or 'no address'} ({called[1]}), and not {url} (POST), for messages to {sender}: "
            "change it at https://console.twilio.com. The start of the gateway sets it if there is none.",
        )
