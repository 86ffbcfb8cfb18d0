"""Captured requests of a platform, with the expected result of each: `sample_messages.md` in a channel's folder.

A sample is a heading, followed by a paragraph that begins with `Expected:` and a fenced block with the body of the
request. Other paragraphs are ignored. The language of the block is `json` or `form`, followed by the path if that is
not the channel's `address`. A form has one field per line, encoded as in the captured request.

    ## A command in a group

    Expected: a message `{"text": "/help", "sender": "T1/U1", "conversation": "T1/C1", "shared": true}`

    ```json /slack/events
    {"type": "event_callback"}
    ```

The expected results are:

- `a message`, followed by JSON with the fields of `ExpectedMessage`;
- `no turn`: the request is accepted, and starts no turn;
- `refused with 400`, or with another status from 400 to 499;
- `the same message as "NAME"`: another report of the message in the sample NAME.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import parse_qsl

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.channels.requests import FORM
from oauth.errors import UnderstudyError
from toolkits import Message

BASE_URL = "http://127.0.0.1:8000"  # the public address of the gateway in a contract

_MEDIA_TYPES = {"json": "application/json", "form": FORM}
_MESSAGE = re.compile(r"a message `(.*)`\.?", re.DOTALL)
_REFUSED = re.compile(r"refused with (4\d\d)")
_SAME = re.compile(r'the same message as "(.*)"')


class SampleError(UnderstudyError, ValueError):
    """A file of samples cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedMessage:
    """The request is a message to the agent.

    Args:
        sender: `TENANT/USER_ID`.
        conversation: `TENANT/ID`. If it ends with `*`, only the part before it is compared, because the channel makes
            up the rest.
        attachments: the kinds of the attachments.
        quoted: the messages that it refers to, each as `AUTHOR: TEXT`.
    """

    text: str
    sender: str
    conversation: str
    shared: bool = False
    command: str | None = None
    argument: str = ""
    anonymous: bool = False
    attachments: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()

    def differences(self, message: Message) -> Iterator[str]:
        """Yield a description of each field in which a message differs from the expected one."""
        conversation = f"{message.conversation.tenant}/{message.conversation.id}"
        if self.conversation.endswith("*") and conversation.startswith(self.conversation[:-1]):
            conversation = self.conversation
        found = {
            "text": message.text,
            "sender": f"{message.sender.tenant}/{message.sender.user_id}",
            "conversation": conversation,
            "shared": message.conversation.shared,
            "command": message.command,
            "argument": message.argument,
            "anonymous": message.anonymous,
            "attachments": tuple(attachment.kind for attachment in message.attachments),
            "quoted": tuple(f"{quoted.author}: {quoted.text}" for quoted in message.quoted),
        }
        for name, value in found.items():
            if value != getattr(self, name):
                yield f"{name} is {value!r} instead of {getattr(self, name)!r}"


@dataclass(frozen=True, slots=True)
class NoTurn:
    """The request is accepted and starts no turn."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is malformed.

    Args:
        status: the expected status of the response, from 400 to 499.
    """

    status: int


@dataclass(frozen=True, slots=True)
class SameMessage:
    """The request reports the message of another sample again, with other ids.

    Args:
        sample: the name of the other sample.
    """

    sample: str


Expected = ExpectedMessage | NoTurn | Refused | SameMessage


@dataclass(frozen=True, slots=True)
class Sample:
    """A request of a platform, and its expected result.

    Args:
        name: the heading of the sample.
        body: the body, as the platform sent it.
        path: the path to which it is posted; if empty, the channel's `address`.
    """

    name: str
    body: bytes
    expected: Expected
    media_type: str = "application/json"
    path: str = ""

    @property
    def url(self) -> str:
        """The full URL to which the platform posts, for signatures that cover it."""
        return f"{BASE_URL}{self.path}"

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def at(self, address: str) -> "Sample":
        """Return this sample with its path filled in."""
        return self if self.path else replace(self, path=address)


def read_samples(file: Traversable) -> list[Sample]:
    """Read the samples in a file such as `importlib.resources.files("my_channel") / "sample_messages.md"`.

    Raises:
        SampleError: if a sample is malformed. The message says which one and why.
    """
    samples = [_sample(name, tokens) for name, tokens in _sections(file.read_text(encoding="utf-8")) if tokens]
    names = [sample.name for sample in samples]
    for sample in samples:
        if names.count(sample.name) > 1:
            raise SampleError(f"{file.name} has two samples that are called {sample.name!r}.")
        if isinstance(sample.expected, SameMessage) and sample.expected.sample not in names:
            raise SampleError(f"The sample {sample.name!r} names a sample that {file.name} does not have.")
    return samples


def _sections(markdown: str) -> Iterator[tuple[str, list[Token]]]:
    """Yield each heading with the `Expected:` paragraphs and the fenced blocks below it."""
    name, found = "", list[Token]()
    before = ""
    for token in MarkdownIt("commonmark").parse(markdown):
        if before == "heading_open":
            yield name, found
            name, found = token.content, []
        elif token.type == "fence" or (token.type == "inline" and token.content.startswith("Expected:")):
            found.append(token)
        before = token.type
    yield name, found


def _sample(name: str, tokens: list[Token]) -> Sample:
    blocks = [token for token in tokens if token.type == "fence"]
    expectations = [token.content for token in tokens if token.type != "fence"]
    if len(blocks) != 1 or len(expectations) != 1:
        raise SampleError(
            f"The sample {name!r} has {len(blocks)} fenced blocks and {len(expectations)} paragraphs that begin with "
            "'Expected:': it needs one of each."
        )
    language, _, path = blocks[0].info.strip().partition(" ")
    if language not in _MEDIA_TYPES:
        raise SampleError(f"The language of the block in the sample {name!r} is {language!r} instead of json or form.")
    lines = blocks[0].content.strip()
    body = lines.replace("\n", "&") if language == "form" else lines
    return Sample(name, body.encode(), _expected(name, expectations[0]), _MEDIA_TYPES[language], path.strip())


def _expected(name: str, paragraph: str) -> Expected:
    said = " ".join(paragraph.removeprefix("Expected:").split()).rstrip(".")
    if said == "no turn":
        return NoTurn()
    if found := _REFUSED.fullmatch(said):
        return Refused(int(found[1]))
    if found := _SAME.fullmatch(said):
        return SameMessage(found[1])
    if found := _MESSAGE.fullmatch(paragraph.removeprefix("Expected:").strip()):
        try:
            fields = json.loads(found[1])
            lists = {name: tuple(fields.get(name, ())) for name in ("attachments", "quoted")}
            return ExpectedMessage(**{**fields, **lists})
        except (ValueError, TypeError, AttributeError) as error:
            raise SampleError(f"The expected message of the sample {name!r} cannot be read: {error}.") from None
    raise SampleError(
        f"The expected result of the sample {name!r} is {said!r}: it has to be 'a message `{{…}}`', 'no turn', "
        "'refused with 400' or 'the same message as \"NAME\"'."
    )
