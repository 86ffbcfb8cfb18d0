"""The contract of a channel, checked by running a gateway around it.

CHECKS = channel_contract(make, samples, sign=sign, platform=PLATFORM)

@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_contract(check):
    check()
"""

import asyncio
import inspect
import re
import tempfile
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import unquote_plus

from gateway.channels import (
    Choice,
    ChoiceStyle,
    DeliveryAmbiguousError,
    DeliveryRefusedError,
    Interface,
    Presenter,
    QuestionCard,
    RecipientUnreachableError,
    RetryLaterError,
    StoredFile,
)
from gateway.channels.presenter import MARK_LENGTH
from gateway.storage.files import ADDRESSES
from gateway.testing.platform import Answer, Call, Failure, Platform
from gateway.testing.running import Running, Sign, running
from gateway.testing.samples import ExpectedMessage, NoTurn, Refused, SameMessage, Sample
from gateway.testing.texts import long_texts, missing_words
from oauth.errors import UnderstudyError
from toolkits import Message

FILES = ("interface.py", "parse.py", "present.py", "format.py", "live.py", "sample_messages.md")
DELIVERY_ERRORS = (RetryLaterError, DeliveryRefusedError, RecipientUnreachableError, DeliveryAmbiguousError)
CAPTION = "as you wished"

# Failures between a channel and its platform, whatever the platform is.
EVERYWHERE = (
    Failure("the connection ends without an answer", Answer(lost=True), DeliveryAmbiguousError),
    Failure("a proxy answers with its own page", Answer("<html>Welcome</html>"), DeliveryAmbiguousError),
    Failure("a proxy refuses the call", Answer("<html>Forbidden</html>", 403), ConnectionError),
)


class ContractBrokenError(UnderstudyError, AssertionError):
    """A channel breaks its contract with the gateway. The message lists every problem that the check found."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Check:
    """One check of a contract. Call it to run the check, outside of an event loop.

    Raises:
        ContractBrokenError: if the check fails. The message lists the problems.
    """

    name: str
    _check: Callable[[Path], Awaitable[Sequence[str]]]

    def __call__(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            problems = asyncio.run(_awaited(self._check(Path(directory))))
        if problems:
            raise ContractBrokenError(problems)

    def __str__(self) -> str:
        return self.name


def channel_contract(
    make: Callable[[str], Interface], samples: Sequence[Sample], *, sign: Sign, platform: Platform
) -> list[Check]:
    """Return the checks of a channel's contract.

    Args:
        make: makes the channel, given the URL of a server that stands in for its platform.
        samples: requests of the platform: see `read_samples`.
        sign: returns only the headers by which the platform proves that it sent a sample.
        platform: the platform's limits and failures.
    """
    contract = _Contract(make, samples, sign, platform)
    checks = [
        Check("the folder has its files", contract.check_files),
        Check("there are samples of every kind", contract.check_coverage),
        Check("samples are classified", contract.check_samples),
        Check("forged requests leave no trace", contract.check_forgeries),
        Check("requests before the start are put off", contract.check_early_requests),
        Check("two processes run at once", contract.check_processes),
        Check("parts keep the limit", contract.check_parts),
    ]
    if platform.redelivers:
        checks.append(Check("a second delivery is answered once", contract.check_redelivery))
    if platform.answer is not None:
        checks.append(Check("questions are asked and closed", contract.check_questions))
        checks.append(Check("delivery errors are translated", contract.check_errors))
        if platform.files:
            checks.append(Check("files are sent", contract.check_sent_files))
    return checks


class _Contract:
    """The checks. Each one runs its own gateway, and returns the problems that it finds."""

    def __init__(
        self, make: Callable[[str], Interface], samples: Sequence[Sample], sign: Sign, platform: Platform
    ) -> None:
        self._make = make
        self._samples = samples
        self._sign = sign
        self._platform = platform

    @property
    def _messages(self) -> list[Sample]:
        return [sample for sample in self._samples if isinstance(sample.expected, ExpectedMessage)]

    def _running(self, directory: Path, *, started: bool = True) -> AbstractAsyncContextManager[Running]:
        return running(self._make, self._sign, self._platform, directory, started=started)

    async def check_files(self, directory: Path) -> list[str]:
        """Check that the folder of the channel has the files that every channel has."""
        folder = Path(inspect.getfile(type(self._make("http://127.0.0.1:9")))).parent
        return [f"{folder.name} has no {name}" for name in FILES if not (folder / name).is_file()]

    async def check_coverage(self, directory: Path) -> list[str]:
        """Check that there is a sample of each kind, a failure for each delivery error, and a file if some are sent."""
        problems: list[str] = []
        for kinds, needed in (
            ((ExpectedMessage,), "a message"),
            ((NoTurn, SameMessage), "no turn"),
            ((Refused,), "refused"),
        ):
            if not any(isinstance(sample.expected, kinds) for sample in self._samples):
                problems.append(f"no sample is expected to be {needed}")
        if self._platform.answer is not None:
            covered = {failure.error for failure in self._platform.failures}
            problems += [f"no failure expects {error.__name__}" for error in DELIVERY_ERRORS if error not in covered]
            if not self._platform.files and _implements(self._make("http://127.0.0.1:9").presenter, "send_files"):
                problems.append("the platform has no files, although the channel sends some")
        return problems

    async def check_samples(self, directory: Path) -> list[str]:
        """Check that the channel handles each sample as expected: as a message, without a turn, or as malformed."""
        problems: list[str] = []
        async with self._running(directory) as scene:
            for sample in self._samples:
                before = len(scene.payloads())
                status = await scene.post(sample)
                new = scene.payloads()[before:]
                problems += [f"{sample.name}: {each}" for each in await _misread(scene, sample, status, new)]
            if unknown := scene.rows("SELECT count(*) FROM inbox WHERE author IS NULL")[0][0]:
                problems.append(f"{unknown} events have no author, so nobody can stop their turns")
            await scene.settle()
        return problems

    async def check_forgeries(self, directory: Path) -> list[str]:
        """Check that requests which the platform did not make are refused, and that nothing of them is stored."""
        problems: list[str] = []
        async with self._running(directory) as scene:
            before = scene.counts()
            for sample in self._samples:
                if isinstance(sample.expected, Refused):
                    continue
                for forgery, changed, headers in self._forgeries(sample.at(scene.interface.address)):
                    status = await scene.send(changed, headers)
                    if status not in (401, 403):
                        problems.append(f"{sample.name}, {forgery}: it was answered {status} instead of 401 or 403")
                    if scene.counts() != before:
                        problems.append(f"{sample.name}, {forgery}: it left rows in the database")
                        before = scene.counts()
        return problems

    def _forgeries(self, sample: Sample) -> list[tuple[str, Sample, dict[str, str]]]:
        signed = dict(self._sign(sample))
        forgeries: list[tuple[str, Sample, dict[str, str]]] = [("unsigned", sample, {})]
        for name, value in signed.items():
            forgeries.append((f"with another {name}", sample, {**signed, name: _altered(value)}))
        if self._platform.signs_body:
            more = b"&x=1" if sample.media_type != "application/json" else b" "
            forgeries.append(("with another body", replace(sample, body=sample.body + more), signed))
        return forgeries

    async def check_redelivery(self, directory: Path) -> list[str]:
        """Check that a message is answered once if it is delivered twice at the same time, and a third time later."""
        problems: list[str] = []
        async with self._running(directory) as scene:
            for sample in self._messages:
                before = len(scene.payloads())
                problems += _answered(sample, await asyncio.gather(scene.post(sample), scene.post(sample)))
                if (taken := len(scene.payloads()) - before) != 1:
                    problems.append(f"{sample.name}: two simultaneous deliveries were stored as {taken} messages")
            await scene.settle()
            turns, rows = scene.turns, scene.counts()
            for sample in self._messages:
                problems += _answered(sample, [await scene.post(sample)])
                if len(scene.payloads()) > rows["inbox"]:
                    problems.append(f"{sample.name}: a third delivery, after the answer, was stored as a new message")
                    break
            await scene.settle()
            if scene.turns > turns or scene.counts()["outbox"] > rows["outbox"]:
                problems.append("a third delivery was answered again")
        return problems

    async def check_early_requests(self, directory: Path) -> list[str]:
        """Check that a request before `start` is answered 503, so that the platform delivers it again."""
        problems: list[str] = []
        async with self._running(directory, started=False) as scene:
            await scene.interface.stop()  # as the gateway does if another channel fails to start
            for sample in self._messages:
                if (status := await scene.post(sample)) != 503:
                    problems.append(f"{sample.name}: before `start` it was answered {status} instead of 503")
        return problems

    async def check_processes(self, directory: Path) -> list[str]:
        """Check that an instance of the channel still works after another one has stopped, as in two processes."""
        (first, second) = (directory / "first", directory / "second")
        first.mkdir()
        second.mkdir()
        sample = self._messages[0]
        async with self._running(first) as ending, self._running(second) as lasting:
            await ending.interface.stop()
            status = await lasting.post(sample)
            await lasting.settle()
            if not lasting.counts()["outbox"]:
                return [
                    f"{sample.name}: after another instance had stopped, it was answered {status}, and nothing was sent"
                ]
        return []

    async def check_parts(self, directory: Path) -> list[str]:
        """Check that the parts of an answer respect the platform's limit, leave room for marks, and lose no text."""
        presenter, limit = self._make("http://127.0.0.1:9").presenter, self._platform.limit
        problems: list[str] = []
        for name, text in long_texts(limit):
            parts = presenter.parts(text)
            if not parts or not all(part.strip() for part in parts):
                problems.append(f"{name}: a part is empty")
            if missing := missing_words(text, parts):
                problems.append(f"{name}: {missing} words are lost or out of order")
            if limit is None:
                continue
            longest = max(map(self._platform.length, parts), default=0)
            if longest + MARK_LENGTH > limit:
                problems.append(
                    f"{name}: a part has the length {longest}, over {limit} with {MARK_LENGTH} left free for marks"
                )
            marked = max((self._platform.length(presenter.mark_repeated(part)) for part in parts), default=0)
            if marked > limit:
                problems.append(f"{name}: a part that is marked as sent again has the length {marked} of {limit}")
        return problems

    async def check_questions(self, directory: Path) -> list[str]:
        """Check that a question reaches the platform with its text and choices, and so does the decision later."""
        problems: list[str] = []
        async with self._running(directory) as scene:
            message = await self._received(scene)
            await scene.settle()
            presenter, calls = scene.interface.presenter, scene.stand_in.calls

            def untold(words: Sequence[str], since: int) -> list[str]:
                told = _texts(calls[since:])
                return [word for word in words if word not in told]

            (text,) = presenter.parts("Which colour shall it have?")
            choices = [Choice("Cyan", ChoiceStyle.PRIMARY), Choice("Magenta", ChoiceStyle.DANGER), Choice("Yellow")]
            card = QuestionCard(token_urlsafe(16), text, choices, datetime.now(UTC) + timedelta(days=1))
            began = len(calls)
            sent = await presenter.send_question(message.conversation, card, message.id, key="contract")
            if missing := untold(["Which", "colour", *(choice.label for choice in choices)], began):
                problems.append(f"a question was sent without {', '.join(missing)}")
            if sent is not None:
                began = len(calls)
                (text,) = presenter.parts("Cyan was chosen")
                await presenter.close_question(message.conversation, None, sent, text)
                if missing := untold(["Cyan", "chosen"], began):
                    problems.append(f"a question was closed without {', '.join(missing)}")
        return problems

    async def check_errors(self, directory: Path) -> list[str]:
        """Check that `send_text` and `send_files` raise the right delivery error for each failure of the platform."""
        failures = (*self._platform.failures, *EVERYWHERE)
        problems = await self._mistranslations(directory / "texts", "send_text", failures)
        if self._platform.files:
            path = self._platform.files_path
            of_files = [replace(failure, path=path) for failure in failures if failure.path in path]
            problems += await self._mistranslations(directory / "files", "send_files", of_files)
        return problems

    async def _mistranslations(self, directory: Path, method: str, failures: Sequence[Failure]) -> list[str]:
        """Return what is wrong with the errors that a method raises for failures, and for a platform that is away.

        In a pause that the platform asked for, a channel may refuse to call it, so that each pause gets a new channel.
        """
        pauses = [failure for failure in failures if failure.error is RetryLaterError]
        others = [failure for failure in failures if failure.error is not RetryLaterError]
        problems: list[str] = []
        for number, batch in enumerate((others, *([pause] for pause in pauses))):
            place = directory / str(number)
            place.mkdir(parents=True)
            async with self._running(place) as scene:
                send = await self._sending(scene, method)
                if (error := await _raised(send())) is not None:
                    problems.append(f"a message that the platform takes raises {error!r} in {method}")
                for failure in batch:
                    scene.stand_in.failure = failure
                    problems += _mistranslated(failure, method, await _raised(send()))
                if batch is others:
                    scene.stand_in.stop()
                    away = Failure("the platform cannot be reached", Answer(), ConnectionError)
                    problems += _mistranslated(away, method, await _raised(send()))
        return problems

    async def _sending(self, scene: Running, method: str) -> Callable[[], Awaitable[object]]:
        """Return a function that sends a text or files with a method of the presenter."""
        message = await self._received(scene)
        presenter, place = scene.interface.presenter, message.conversation
        if method == "send_text":
            return lambda: presenter.send_text(place, "hello", message.id, key="contract")
        group = presenter.grouped(await self._stored(scene))[0]
        return lambda: presenter.send_files(place, group, "", message.id, key="contract")

    async def check_sent_files(self, directory: Path) -> list[str]:
        """Check that files reach the platform with their captions, also private files."""
        problems: list[str] = []
        async with self._running(directory) as scene:
            message = await self._received(scene)
            await scene.settle()
            presenter, place = scene.interface.presenter, message.conversation
            files = await self._stored(scene)
            for file in files:
                try:
                    presenter.check_file(file)
                except DeliveryRefusedError as refusal:
                    problems.append(f"{file.name}: check_file refuses it: {refusal}")
            groups = presenter.grouped(files)
            if not all(groups) or [file for group in groups for file in group] != files:
                return [*problems, "grouped loses files, or changes their order"]
            sends: dict[str, Callable[[Sequence[StoredFile], str], Awaitable[object]]] = {
                "send_files": lambda group, caption: presenter.send_files(
                    place, group, caption, message.id, key="contract"
                )
            }
            if _implements(presenter, "send_private_text"):
                sends["send_private_files"] = lambda group, caption: presenter.send_private_files(
                    message.sender, place, group, caption, first=True, key="contract"
                )
            for group in groups:
                names, longest = ", ".join(file.name for file in group), presenter.longest_caption(group)
                if self._platform.limit is not None and longest + MARK_LENGTH > self._platform.limit:
                    problems.append(f"{names}: longest_caption has to leave {MARK_LENGTH} of the limit free for marks")
                caption = CAPTION if longest >= len(CAPTION) else ""
                for method, send in sends.items():
                    began = len(scene.stand_in.calls)
                    if (error := await _raised(send(group, caption))) is not None:
                        problems.append(f"{names}: {method} raises {error!r}")
                        continue
                    calls = scene.stand_in.calls[began:]
                    unsent = [file.name for file in group if not await _is_sent(scene, file, calls)]
                    problems += [f"{name}: {method} does not send its content" for name in unsent]
                    if caption not in _texts(calls):
                        problems.append(f"{names}: {method} does not send the caption")
        return problems

    async def _received(self, scene: Running) -> Message:
        """Post the first message, and return it as the channel reads it."""
        await scene.post(self._messages[0])
        message = await scene.interface.parse(scene.payloads()[0])
        assert message is not None, f"{self._messages[0].name} is no message"
        return message

    async def _stored(self, scene: Running) -> list[StoredFile]:
        """Store the files of the platform, like files that an agent sends, and return them."""
        store = scene.gateway.parts.stored_files
        return [await store.add(file.chunks(), file.name, file.media_type) for file in self._platform.files]


async def _awaited(check: Awaitable[Sequence[str]]) -> Sequence[str]:
    return await check


def _answered(sample: Sample, statuses: Sequence[int]) -> list[str]:
    return [f"{sample.name}: a delivery was answered {status}" for status in statuses if status >= 300]


async def _misread(scene: Running, sample: Sample, status: int, new: list[str]) -> list[str]:
    """Return how a sample was handled differently than expected.

    Args:
        status: the status of the channel's response.
        new: the payloads that the sample added to the inbox.
    """
    match sample.expected:
        case Refused(expected):
            return [f"it was answered {status} instead of {expected}"] * (status != expected) + [
                "it was to be refused, but is in the inbox"
            ] * bool(new)
        case _ if status >= 300:
            return [f"it was answered {status}"]
        case NoTurn() | SameMessage():
            return ["it started a turn"] * bool(new)
    if len(new) != 1:
        return [f"it added {len(new)} rows to the inbox instead of one; do two samples have the same ids?"]
    message = await scene.interface.parse(new[0])
    return ["it is not a message"] if message is None else list(sample.expected.differences(message))


def _mistranslated(failure: Failure, method: str, error: Exception | None) -> list[str]:
    """Return how the error that a method raised differs from the one that a failure expects."""
    about = f"{failure.name}: {method} raises"
    if error is None:
        return [f"{about} nothing"]
    if failure.error is ConnectionError:
        return [f"{about} {error!r} instead of an error that is no delivery error, like ConnectionError"] * isinstance(
            error, DELIVERY_ERRORS
        )
    if type(error) is not failure.error:
        return [f"{about} {error!r} instead of {failure.error.__name__}"]
    if isinstance(error, RetryLaterError) and failure.seconds is not None and error.seconds != failure.seconds:
        return [f"{about} a RetryLaterError for {error.seconds} seconds instead of {failure.seconds}"]
    return []


async def _raised(call: Awaitable[object]) -> Exception | None:
    """Return what a call of a channel raises, whatever it is."""
    try:
        await call
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _implements(presenter: Presenter, method: str) -> bool:
    return getattr(type(presenter), method) is not getattr(Presenter, method)


def _texts(calls: Sequence[Call]) -> str:
    """Return the paths and the bodies of calls as one text."""
    return unquote_plus(" ".join(f"{call.path} {call.body.decode(errors='replace')}" for call in calls))


async def _is_sent(scene: Running, file: StoredFile, calls: Sequence[Call]) -> bool:
    """Return whether calls carry the content of a file, or an address of the gateway that gives it."""
    content = await file.read()
    if any(content in call.body or b64encode(content) in call.body for call in calls):
        return True
    for path in re.findall(rf"{ADDRESSES}/{file.id}[^\s\"'<>&]+", _texts(calls)):
        if (await scene.client.get(path)).content == content:
            return True
    return False


def _altered(value: str) -> str:
    """Return a header's value with one character in the middle changed."""
    middle = len(value) // 2
    return f"{value[:middle]}{'1' if value[middle : middle + 1] == '0' else '0'}{value[middle + 1 :]}"
