"""The App Home: a person's connected accounts and open questions. https://docs.slack.dev/surfaces/app-home"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.channels import DeliveryError, Host, QuestionCard, RetryLaterError
from gateway.channels.sentences import sign_in_button
from gateway.logs import describe
from interfaces.slack.errors import slack_errors
from interfaces.slack.format import escape
from interfaces.slack.interactivity import blocks
from interfaces.slack.interactivity.blocks import Block
from interfaces.slack.interactivity.press import ButtonPress
from interfaces.slack.workspaces import Workspaces
from oauth import Account, Identity

HOME = "home"  # the first word of a button's `action_id`; the second word is one of the next two
CONNECT, DISCONNECT = "connect", "disconnect"
MOST_BLOCKS = 100  # of a view: https://docs.slack.dev/reference/views

NO_ACCOUNTS = "I do not need any of your accounts."
NOTHING_WAITS = "Nothing is waiting for your answer."
TERMS = (
    "The link is for you alone and works for ten minutes. After you sign in, the page may ask you to confirm that it "
    "was you: use its button, or send me the code that it shows in a direct message."
)

log = logging.getLogger(__name__)


class AppHome:
    """Shows each person their own App Home, and handles presses of its buttons.

    Slack stores the App Home, so that it never contains a sign-in link. A person who connects an account gets the link
    in a modal, which Slack does not store.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def show(self, host: Host, identity: Identity) -> None:
        """Publish a person's home: https://docs.slack.dev/reference/methods/views.publish"""
        accounts, cards = await asyncio.gather(host.accounts(identity), host.open_questions(identity))
        view = {"type": "home", "blocks": home_blocks(host, accounts, cards)}
        await self._call(identity, "views_publish", user_id=identity.user_id, view=view)

    async def take(self, host: Host, press: ButtonPress) -> bool:
        """Handle the press of a button in the home; return whether the home has to be updated."""
        action, provider = press.argument.partition(".")[0], press.value
        if action == DISCONNECT:
            await host.disconnect(press.identity, provider)
        elif action == CONNECT and provider in host.providers:
            link = await host.sign_in_link(press.identity, press.name, provider)
            view = modal(host.provider_label(provider), link)
            await self._call(press.identity, "views_open", trigger_id=press.trigger, view=view)
            return False
        return True

    async def _call(self, identity: Identity, method: str, **arguments: Any) -> None:
        try:
            client = await self._workspaces.client(identity.tenant)
            with slack_errors():
                await getattr(client, method)(**arguments)
        except (DeliveryError, ConnectionError, RetryLaterError) as error:
            log.warning(
                "Slack did not show the App Home or its modal to %s (%s): %s", identity, method, describe(error)
            )


def home_blocks(host: Host, accounts: Sequence[Account], cards: Sequence[QuestionCard]) -> list[Block]:
    """Return the blocks of a person's home. Questions beyond Slack's limit appear once others are answered."""
    shown = [_header("Your accounts"), *_accounts(host, accounts), _header("Waiting for you")]
    if not cards:
        return [*shown, *blocks.sections(NOTHING_WAITS)]
    for card in cards:
        asked = [*blocks.question(card), {"type": "divider"}]
        if len(shown) + len(asked) <= MOST_BLOCKS:
            shown += asked
    return shown


def modal(label: str, link: str) -> Block:
    """Return the view with a sign-in link: https://docs.slack.dev/surfaces/modals"""
    text = f"Connect your {escape(label)} account. {TERMS}"
    shown = blocks.link_button(text, sign_in_button(label), link)
    return {"type": "modal", "title": _plain("Connect an account"), "close": _plain("Close"), "blocks": shown}


def _accounts(host: Host, accounts: Sequence[Account]) -> Iterator[Block]:
    """Yield the connected accounts, and the providers that can be connected."""
    for account in accounts:
        about = f"*{escape(account.label)}*: {escape(account.account)}"
        if account.permissions:
            about += f"\nI may {escape(', '.join(account.permissions))}."
        button = _button(DISCONNECT, account.provider, "Disconnect")
        yield _with_button(about, {**button, "style": "danger", "confirm": _confirmation(account)})
    missing = [name for name in host.providers if name not in {account.provider for account in accounts}]
    for name in missing:
        yield _with_button(f"*{escape(host.provider_label(name))}*", _button(CONNECT, name, "Connect"))
    if not accounts and not missing:
        yield from blocks.sections(NO_ACCOUNTS)


def _confirmation(account: Account) -> Block:
    """Return a dialog: https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object"""
    return {
        "title": _plain("Disconnect it?"),
        "text": _plain(f"I will delete my access to {account.account[:200]}."),
        "confirm": _plain("Disconnect"),
        "deny": _plain("Keep it"),
    }


def _button(action: str, provider: str, label: str) -> Block:
    name = f"{HOME}.{action}.{provider}"
    return {"type": "button", "action_id": name, "value": provider, "text": _plain(label)}


def _with_button(text: str, button: Block) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}, "accessory": button}


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain(text)}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
