"""Make prompts and answers, in the same way for every engine."""

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
    """Return the prompt for an agent: a text, quoted messages, attachments, and the files of earlier messages.

    Args:
        takes: returns whether the model takes files of a media type.
    """
    prompt = await read_prompt(text, attachments, takes, agent.transcriber, quoted)
    earlier = [
        EarlierMessage(item.attributed_text, item.attachments) for item in history if item.attachments is not None
    ]
    return replace(prompt, earlier=await read_earlier(earlier, takes, prompt.room)) if earlier else prompt


def answer_to(prompt: Prompt, text: str, items: Sequence[SessionItem], files: Sequence[File]) -> Answer:
    """Return the answer to a prompt.

    Args:
        text: the text of the answer.
        items: the items that the run adds to the history. The first is the message; it is marked if it has files, so
            that later turns read them again.
        files: the files that the model returned.
    """
    kept = with_quoted([replace(items[0], has_files=bool(prompt.files)), *items[1:]], prompt)
    return Answer(text, kept, prompt.unread, files)
