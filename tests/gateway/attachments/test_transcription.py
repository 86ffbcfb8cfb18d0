"""Recordings are transcribed for the model."""

from collections.abc import AsyncGenerator, Iterator
from functools import partial

import pytest
from peers.transcription import TranscriptionServer
from support.files import JPEG, MP3, MP4, OGG

from gateway import Agent
from gateway.attachments.openai_transcriber import MOST_BYTES, OpenAITranscriber
from gateway.attachments.prompt import Prompt, read_prompt
from oauth import SettingError
from toolkits import Attachment, AttachmentError, AttachmentKind, Transcriber

MODEL = "openai:gpt-5.2"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[TranscriptionServer]:
    with TranscriptionServer("Buy milk. ") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        yield server


async def _content(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def sent(data: bytes, kind: AttachmentKind = AttachmentKind.VOICE, **fields: str) -> Attachment:
    return Attachment(kind, fetch=partial(_content, data), **fields)  # type: ignore[arg-type]


async def read(attachment: Attachment, transcriber: Transcriber | None = None) -> Prompt:
    return await read_prompt("do it", [attachment], lambda _: True, transcriber)


@pytest.mark.parametrize(
    ("data", "kind", "name", "ending"),
    [
        (OGG, AttachmentKind.VOICE, "", "ogg"),  # of Telegram
        (OGG, AttachmentKind.AUDIO, "note.oga", "ogg"),
        (MP3, AttachmentKind.AUDIO, "note", "mp3"),
        (b"RIFF\x24\0\0\0WAVEfmt ", AttachmentKind.DOCUMENT, "note.bin", "wav"),
        (b"\0\0\0\x1cftypM4A \0\0\0\0", AttachmentKind.AUDIO, "note.mp3", "m4a"),
        (MP4, AttachmentKind.VIDEO, "film.avi", "mp4"),
        (b"\x1a\x45\xdf\xa3....B\x82\x84webm", AttachmentKind.AUDIO, "", "webm"),
        (b"fLaC\0\0\0\x22", AttachmentKind.AUDIO, "", "flac"),
    ],
)
async def test_the_endpoint_gets_the_bytes_with_the_ending_of_their_format(
    endpoint: TranscriptionServer, data: bytes, kind: AttachmentKind, name: str, ending: str
) -> None:
    attachment = sent(data, kind, name=name)
    prompt = await read(attachment, OpenAITranscriber("openai:gpt-4o-mini-transcribe"))
    assert prompt.text == f"do it\n\n[{attachment.title}]\nTranscript: Buy milk.\n[end of {attachment.title}]"
    assert prompt.unread == []
    (recording,) = endpoint.recordings
    assert (recording.name, recording.data) == (f"recording.{ending}", data)
    assert (recording.model, recording.authorization) == ("gpt-4o-mini-transcribe", "Bearer sk-secret")


@pytest.mark.parametrize("failures", [[429], [500, 429]])
async def test_a_busy_endpoint_is_asked_again(endpoint: TranscriptionServer, failures: list[int]) -> None:
    endpoint.failures = failures
    assert (await read(sent(OGG), OpenAITranscriber("whisper-1"))).unread == []


@pytest.mark.parametrize(
    ("failures", "sentence"),
    [
        ([400], "It is too long, or in a format that I cannot listen to."),
        ([401], "I cannot listen to it at the moment."),
        ([413], "I can listen to recordings of up to 25 MB."),
        ([429] * 3, "I cannot listen to it at the moment."),
    ],
)
async def test_a_refusal_of_the_endpoint_is_told_in_a_sentence(
    endpoint: TranscriptionServer, failures: list[int], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.failures = list(failures)
    prompt = await read(sent(OGG), OpenAITranscriber("whisper-1"))
    assert prompt.unread == [f"I could not read the voice: {sentence}"]
    assert f"the endpoint answered {failures[-1]}" in caplog.text


@pytest.mark.long
async def test_an_unreachable_endpoint_is_told_in_a_sentence(endpoint: TranscriptionServer) -> None:
    transcriber = OpenAITranscriber("whisper-1")
    endpoint.stop()
    prompt = await read(sent(OGG), transcriber)
    assert prompt.unread == ["I could not read the voice: I cannot listen to it at the moment."]


@pytest.mark.parametrize("data", [b"#!AMR\n", b"\0\0\0\x14ftypqt  ", OGG + bytes(MOST_BYTES)])
async def test_files_that_the_endpoint_does_not_accept_are_not_sent(endpoint: TranscriptionServer, data: bytes) -> None:
    prompt = await read(sent(data), OpenAITranscriber("whisper-1"))
    assert len(prompt.unread) == 1
    assert endpoint.recordings == []


async def test_a_recording_without_words_is_told_in_a_sentence(endpoint: TranscriptionServer) -> None:
    endpoint.text = " "
    prompt = await read(sent(OGG), OpenAITranscriber("whisper-1"))
    assert prompt.unread == ["I could not read the voice: I cannot hear anybody speaking in it."]


async def test_a_function_may_transcribe() -> None:
    async def transcribe(data: bytes, name: str, media_type: str) -> str:
        return f"{len(data)} bytes of {name!r}, {media_type}"

    prompt = await read(sent(b"#!AMR\n", name="a.amr", media_type="audio/amr"), transcribe)
    assert "Transcript: 6 bytes of 'a.amr', audio/amr" in prompt.text


async def test_a_transcriber_that_raises_leaves_the_rest_to_be_answered(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(data: bytes, name: str, media_type: str) -> str:
        raise RuntimeError("no")

    async def refuse(data: bytes, name: str, media_type: str) -> str:
        raise AttachmentError("I speak no French.")

    failed, refused = await read(sent(OGG), fail), await read(sent(OGG), refuse)
    assert failed.unread == ["I could not read the voice: I cannot listen to it at the moment."]
    assert "the transcriber failed" in caplog.text
    assert refused.unread == ["I could not read the voice: I speak no French."]


@pytest.mark.parametrize("kind", [AttachmentKind.VOICE, AttachmentKind.AUDIO, AttachmentKind.VIDEO])
async def test_without_a_transcriber_recordings_are_named_as_unread(
    kind: AttachmentKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert (await read(sent(OGG, kind))).unread == [f"I could not read the {kind}: I cannot listen to recordings."]
    assert "UNDERSTUDY_TRANSCRIPTION_MODEL" in caplog.text


@pytest.mark.parametrize("data", [JPEG, b"\0\0\0\x18ftypheic\0\0\0\0"])
async def test_a_picture_is_not_transcribed(data: bytes) -> None:
    async def fail(data: bytes, name: str, media_type: str) -> str:
        raise AssertionError("nobody speaks in a picture")

    prompt = await read(sent(data, AttachmentKind.IMAGE), fail)
    assert "listen" not in str(prompt)


def test_the_environment_names_the_model(endpoint: TranscriptionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Agent(model=MODEL).transcriber is None
    monkeypatch.setenv("UNDERSTUDY_TRANSCRIPTION_MODEL", "openai:whisper-1")
    assert isinstance(Agent(model=MODEL).transcriber, OpenAITranscriber)


@pytest.mark.parametrize("model", ["groq:whisper-large-v3", "openai:"])
def test_a_model_of_another_provider_is_refused_at_the_start(endpoint: TranscriptionServer, model: str) -> None:
    with pytest.raises(SettingError, match=f"{model}.*UNDERSTUDY_TRANSCRIPTION_MODEL.*cannot be used"):
        Agent(model=MODEL, transcriber=model)


def test_a_missing_key_is_named_at_the_start(endpoint: TranscriptionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SettingError, match=r"whisper-1.*OPENAI_API_KEY"):
        Agent(model=MODEL, transcriber="whisper-1")
