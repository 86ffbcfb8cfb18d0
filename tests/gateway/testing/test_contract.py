"""The contract of a channel: a channel that keeps it passes, and each mistake of a channel fails a check."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any, ClassVar

import pytest
from postbox import Postbox, parse
from postbox.format import LIMIT
from postbox.interface import HEADER, signature
from postbox.present import PostboxPresenter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.channels import (
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    QuestionCard,
    RecipientUnreachableError,
    RetryLaterError,
    StoredFile,
)
from gateway.channels.requests import parse_json, read_body
from gateway.testing import (
    Answer,
    Check,
    ContractBrokenError,
    Failure,
    Platform,
    Refused,
    Sample,
    channel_contract,
    read_samples,
)
from toolkits import Conversation, File, Message

pytestmark = pytest.mark.long

SECRET = "a secret"
SAMPLES = read_samples(files("postbox") / "sample_messages.md")
PLATFORM = Platform(
    limit=LIMIT,
    answer=lambda call: Answer({}, 202),
    failures=[
        Failure("too many letters", Answer({}, 429, {"Retry-After": "7"}), RetryLaterError, seconds=7),
        Failure("moved away", Answer({}, 404), RecipientUnreachableError),
        Failure("too long", Answer({}, 422), DeliveryRefusedError),
        Failure("a fire", Answer({}, 500), DeliveryAmbiguousError),
    ],
    files=[File(b"a cat", name="cat.png"), File(b"a bill", name="bill.pdf"), File(b"a song", name="song.mp3")],
)


def sign(sample: Sample) -> Mapping[str, str]:
    return {HEADER: signature(SECRET, sample.body)}


def contract(
    channel: type[Postbox] = Postbox,
    samples: Sequence[Sample] = SAMPLES,
    sign: Callable[[Sample], Mapping[str, str]] = sign,
    **platform: Any,
) -> dict[str, Check]:
    checks = channel_contract(
        lambda url: channel(SECRET, url), samples, sign=sign, platform=replace(PLATFORM, **platform)
    )
    return {check.name: check for check in checks}


@pytest.mark.parametrize("check", contract().values(), ids=str)
def test_a_channel_that_keeps_the_contract_passes(check: Check) -> None:
    check()


class WithoutSignature(Postbox):
    def verify(self, request: Request, body: bytes) -> None:
        return


class AnySignature(Postbox):
    def verify(self, request: Request, body: bytes) -> None:
        if HEADER not in request.headers:
            raise HTTPException(401)


class SignatureOfNoBody(Postbox):
    def verify(self, request: Request, body: bytes) -> None:
        if request.headers.get(HEADER, "") not in [sign(sample)[HEADER] for sample in SAMPLES]:
            raise HTTPException(401)


class AnsweredWithSuccess(Postbox):
    def verify(self, request: Request, body: bytes) -> None:
        try:
            super().verify(request, body)
        except HTTPException:
            raise HTTPException(200) from None


class StoredFirst(Postbox):
    async def receive(self, request: Request) -> Response:
        body = await read_body(request)
        fields, payload = parse_json(body)
        if parse.is_letter(fields):
            await self.host.accept(parse.to_event(fields, payload))
        self.verify(request, body)
        return Response()


class IdsOfItsOwn(Postbox):
    async def receive(self, request: Request) -> Response:
        body = await read_body(request)
        self.verify(request, body)
        fields, payload = parse_json(body)
        if parse.is_letter(fields):
            await self.host.accept(parse.to_event(fields | {"id": secrets.token_hex()}, payload))
        return Response()


class OfNobody(Postbox):
    async def receive(self, request: Request) -> Response:
        body = await read_body(request)
        self.verify(request, body)
        fields, payload = parse_json(body)
        if parse.is_letter(fields):
            await self.host.accept(replace(parse.to_event(fields, payload), author=None, stops=False))
        return Response()


class Forgetful(Postbox):
    """A channel that answers a webhook before it is committed."""

    async def receive(self, request: Request) -> Response:
        return Response() if self._host is None else await super().receive(request)


class OneForAll(Postbox):
    """A channel that stops working in all instances once one of them has stopped."""

    closed: ClassVar[list[bool]] = []

    async def stop(self) -> None:
        self.closed.append(True)
        await super().stop()

    async def receive(self, request: Request) -> Response:
        return Response() if self.closed else await super().receive(request)


def changed(**fields: Any) -> type[Postbox]:
    """Return a channel whose messages have these fields instead of the right ones."""

    class Changed(Postbox):
        async def parse(self, payload: str) -> Message | None:
            return replace(parse.to_message(payload), **fields)

    return Changed


def presenting(**methods: Any) -> type[Postbox]:
    """Return a channel whose presenter has these methods."""

    class Presenting(Postbox):
        def __init__(self, secret: str, api_url: str) -> None:
            super().__init__(secret, api_url)
            self.presenter = type("Other", (PostboxPresenter,), methods)(api_url)

    return Presenting


class TakesAnything(Postbox):
    async def receive(self, request: Request) -> Response:
        body = await read_body(request)
        self.verify(request, body)
        return Response()


def cut_anywhere(self: PostboxPresenter, markdown: str) -> list[str]:
    return [markdown[start : start + LIMIT] for start in range(0, len(markdown), LIMIT)]


async def send_nothing(self: PostboxPresenter, *_: object, **__: object) -> None:
    return


def refuse(self: PostboxPresenter, file: StoredFile) -> None:
    raise DeliveryRefusedError("no parcels")


async def send_caption(
    self: PostboxPresenter, conversation: Conversation, files: object, caption: str, reply_to: str, *, key: str
) -> None:
    await self.send_text(conversation, f"{caption} {files}", reply_to, key=key)


async def send_without_caption(
    self: PostboxPresenter, conversation: Conversation, files: Any, caption: str, reply_to: str, *, key: str
) -> None:
    await PostboxPresenter.send_files(self, conversation, files, "", reply_to, key=key)


async def send_one_alone(
    self: PostboxPresenter, conversation: Conversation, files: Any, caption: str, reply_to: str, *, key: str
) -> None:
    (file,) = files
    await PostboxPresenter.send_files(self, conversation, [file], caption, reply_to, key=key)


async def send_with_id(
    self: PostboxPresenter, conversation: Conversation, card: QuestionCard, reply_to: str, *, key: str
) -> str:
    await self.send_text(conversation, self.in_words(card), reply_to, key=key)
    return key


CLASSIFIED, FORGED = "samples are classified", "forged requests leave no trace"
QUESTIONS = "questions are asked and closed"
FILES = "files are sent"
TWICE, PARTS, ERRORS = "a second delivery is answered once", "parts keep the limit", "delivery errors are translated"

BROKEN = [
    ("the folder has its files", WithoutSignature, "has no interface.py"),
    (CLASSIFIED, changed(text="hello "), "A letter: text is 'hello ' instead of 'hello'"),
    (CLASSIFIED, changed(command=None), "A command: command is None instead of 'new'"),
    (CLASSIFIED, changed(conversation=Conversation("postbox", "ulm", "all", True)), "shared is True instead of False"),
    (CLASSIFIED, changed(anonymous=True), "anonymous is True"),
    (CLASSIFIED, TakesAnything, "A letter without a sender: it was answered 200 instead of 400"),
    (CLASSIFIED, IdsOfItsOwn, "The first letter, again: it started a turn"),
    (CLASSIFIED, OfNobody, "events have no author"),
    (FORGED, WithoutSignature, "A letter, unsigned: it was answered 200"),
    (FORGED, AnySignature, f"A letter, with another {HEADER}: it was answered 200"),
    (FORGED, SignatureOfNoBody, "A letter, with another body: it was answered 200"),
    (FORGED, AnsweredWithSuccess, "A parcel, unsigned: it was answered 200"),
    (FORGED, StoredFirst, "A letter, unsigned: it left rows"),
    ("requests before the start are put off", Forgetful, "it was answered 200 instead of 503"),
    ("two processes run at once", OneForAll, "after another instance had stopped"),
    (TWICE, IdsOfItsOwn, "A letter: two simultaneous deliveries were stored as 2 messages"),
    (PARTS, presenting(parts=cut_anywhere), "with 100 left free for marks"),
    (
        PARTS,
        presenting(parts=cut_anywhere, mark_repeated=lambda self, text: f"{text} again"),
        "marked as sent again has the length 1006",
    ),
    (PARTS, presenting(parts=cut_anywhere), "words are lost"),
    (PARTS, presenting(parts=lambda self, markdown: [markdown[:900]]), "words: 218 words are lost"),
    (PARTS, presenting(parts=lambda self, markdown: []), "a part is empty"),
    (QUESTIONS, presenting(in_words=lambda self, card: card.text), "a question was sent without Cyan, Magenta, Yellow"),
    (QUESTIONS, presenting(send_question=send_nothing), "a question was sent without Which, colour, Cyan"),
    (QUESTIONS, presenting(send_question=send_with_id), "a question was closed without Cyan, chosen"),
    (ERRORS, presenting(send_text=send_nothing), "too many letters: send_text raises nothing"),
    (ERRORS, presenting(meaning=lambda self, answer: RetryLaterError(3)), "a message that the platform takes raises"),
    (
        ERRORS,
        presenting(meaning=lambda self, answer: RetryLaterError(3)),
        "a RetryLaterError for 3 seconds instead of 7",
    ),
    (ERRORS, presenting(meaning=lambda self, answer: DeliveryRefusedError("no")), "moved away: send_text raises"),
    (ERRORS, presenting(meaning=lambda self, answer: None), "a proxy answers with its own page: send_text raises"),
    (ERRORS, presenting(send_text=send_nothing), "the platform cannot be reached: send_text raises nothing"),
    (ERRORS, presenting(send_files=send_nothing), "too many letters: send_files raises nothing"),
    (ERRORS, presenting(send_files=send_nothing), "the platform cannot be reached: send_files raises nothing"),
    (FILES, presenting(check_file=refuse), "cat.png: check_file refuses it: no parcels"),
    (FILES, presenting(grouped=lambda self, files: [files[:2]]), "grouped loses files"),
    (FILES, presenting(grouped=lambda self, files: [files[::-1]]), "or changes their order"),
    (FILES, presenting(longest_caption=lambda self, files: LIMIT), "longest_caption has to leave 100"),
    (FILES, presenting(send_files=send_caption), "bill.pdf: send_files does not send its content"),
    (FILES, presenting(send_files=send_without_caption), "cat.png, bill.pdf: send_files does not send the caption"),
    (FILES, presenting(send_files=send_one_alone), "cat.png, bill.pdf: send_files raises ValueError"),
    (FILES, presenting(send_private_text=send_nothing), "cat.png, bill.pdf: send_private_files raises Delivery"),
]


@pytest.mark.parametrize(("check", "channel", "problem"), BROKEN, ids=[problem for _, _, problem in BROKEN])
def test_each_mistake_of_a_channel_is_reported(check: str, channel: type[Postbox], problem: str) -> None:
    OneForAll.closed.clear()
    with pytest.raises(ContractBrokenError) as told:
        contract(channel)[check]()
    assert problem in str(told.value)


def test_missing_samples_and_failures_are_reported() -> None:
    (letter,) = [sample for sample in SAMPLES if sample.name == "A letter"]
    with pytest.raises(ContractBrokenError) as told:
        contract(samples=[letter], failures=[], files=[])["there are samples of every kind"]()
    assert str(told.value).splitlines() == [
        "no sample is expected to be no turn",
        "no sample is expected to be refused",
        "no failure expects RetryLaterError",
        "no failure expects DeliveryRefusedError",
        "no failure expects RecipientUnreachableError",
        "no failure expects DeliveryAmbiguousError",
        "the platform has no files, although the channel sends some",
    ]


def test_an_invalid_signature_of_a_sample_is_reported() -> None:
    with pytest.raises(ContractBrokenError, match="A letter: it was answered 401"):
        contract(sign=lambda sample: {HEADER: "none"})["samples are classified"]()


def test_a_row_that_a_refused_request_leaves_is_reported() -> None:
    (letter,) = [sample for sample in SAMPLES if sample.name == "A letter"]
    with pytest.raises(ContractBrokenError, match="it was to be refused, but is in the inbox"):
        contract(samples=[replace(letter, expected=Refused(400))])["samples are classified"]()


def test_a_platform_that_is_not_called_and_does_not_redeliver_has_fewer_checks() -> None:
    assert contract().keys() - contract(answer=None, redelivers=False).keys() == {TWICE, QUESTIONS, ERRORS, FILES}
