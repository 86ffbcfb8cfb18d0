"""What an agent is asked, and what that adds to the history: the same for every engine."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.attachments.earlier import EarlierMessage, read_earlier
from gateway.attachments.files import Takes
from gateway.attachments.prompt import Prompt, read_prompt
from gateway.engines.quoted import with_quoted
from gateway.runs.engine import Answer, RunnableAgent
from gateway.runs.items import SessionItem
from toolkits import Attachment, File, QuotedMessage


async def prompt_for(
    agent: RunnableAgent,
    text: str,
    attachments: Sequence[Attachment],
    quoted: Sequence[QuotedMessage],
    history: Sequence[SessionItem],
    takes: Takes,
) -> Prompt:
    """Return what an agent is asked: a message, what it refers to, its attachments, and the files of earlier ones."""
    prompt = await read_prompt(text, attachments, takes, agent.transcriber, quoted)
    earlier = [
        EarlierMessage(item.attributed_text, item.attachments) for item in history if item.attachments is not None
    ]
    return replace(prompt, earlier=await read_earlier(earlier, takes, prompt.room)) if earlier else prompt


def answer_to(prompt: Prompt, text: str, items: Sequence[SessionItem], files: Sequence[File]) -> Answer:
    """Return the answer to a prompt.

    Args:
        items: the first is the message, which later turns read the files of again.
        files: those that the model returned.
    """
    kept = with_quoted([replace(items[0], has_files=bool(prompt.files)), *items[1:]], prompt)
    return Answer(text, kept, prompt.unread, files)
