"""Read forwarded messages, and the messages that replies refer to: https://core.telegram.org/bots/api#message"""

from collections.abc import Sequence

import telegram

from toolkits import Attachment, QuotedKind, QuotedMessage


def quoted_in(
    message: telegram.Message, bot_id: int, sent: Sequence[Attachment], replied: Sequence[Attachment]
) -> tuple[QuotedMessage, ...]:
    """Return what a message refers to: itself if it is forwarded, otherwise the message that it replies to.

    Args:
        sent: the attachments of the message.
        replied: the attachments of the message that it replies to.
    """
    found = _quoted(message, bot_id, sent, replied)
    return (found,) if found is not None and (found.text or found.part) else ()


def _quoted(
    message: telegram.Message, bot_id: int, sent: Sequence[Attachment], replied: Sequence[Attachment]
) -> QuotedMessage | None:
    if message.forward_origin is not None:
        author, is_own = _author(message.forward_origin, bot_id)
        return QuotedMessage(QuotedKind.FORWARDED, author, _content(message, sent), is_own=is_own)
    part = message.quote.text if message.quote is not None else ""
    if (original := replied_to(message)) is not None:
        author, is_own = _writer(original, bot_id)
        return QuotedMessage(QuotedKind.REPLIED, author, _content(original, replied), part=part, is_own=is_own)
    if (external := message.external_reply) is not None:  # in another chat: only the quote has its text
        author, is_own = _author(external.origin, bot_id)
        return QuotedMessage(QuotedKind.REPLIED, author, _marks(replied), part=part, is_own=is_own)
    return None


def replied_to(message: telegram.Message) -> telegram.Message | None:
    """Return the message that a message replies to; `None` if it replies to none in the same chat.

    In a topic, a message that replies to nothing else comes as a reply to the message that opened the topic.
    """
    replied = message.reply_to_message
    return replied if replied is not None and replied.forum_topic_created is None else None


def _writer(message: telegram.Message, bot_id: int) -> tuple[str, bool]:
    """Return the name of a message's author, and whether that is the bot."""
    if message.forward_origin is not None:
        return _author(message.forward_origin, bot_id)
    if message.sender_chat is not None:
        return message.sender_chat.effective_name or "", False
    user = message.from_user
    return (user.full_name, user.id == bot_id) if user is not None else ("", False)


def _author(origin: telegram.MessageOrigin, bot_id: int) -> tuple[str, bool]:
    """Return the name of the original author, and whether that is the bot: https://core.telegram.org/bots/api#messageorigin"""
    match origin:
        case telegram.MessageOriginUser():
            return origin.sender_user.full_name, origin.sender_user.id == bot_id
        case telegram.MessageOriginHiddenUser():
            return origin.sender_user_name, False
        case telegram.MessageOriginChat():
            return origin.sender_chat.effective_name or "", False
        case telegram.MessageOriginChannel():
            return origin.chat.effective_name or "", False
    return "", False


def _content(message: telegram.Message, attachments: Sequence[Attachment]) -> str:
    return "\n".join(filter(None, (message.text or message.caption, _marks(attachments))))


def _marks(attachments: Sequence[Attachment]) -> str:
    """Return a line for each attachment, like "[image]", with the text of one that is not a file."""
    return "\n".join(f"[{each.title}{f': {each.text}' if each.text else ''}]" for each in attachments)
