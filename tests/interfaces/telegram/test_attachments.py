"""Attachments that people send in Telegram reach the model: https://core.telegram.org/bots/api#message"""

from typing import Any

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from support.channels.running import Run
from support.channels.telegram import ALICE, post, said
from support.files import PDF, PNG

from interfaces.telegram import Telegram

pytestmark = pytest.mark.long


def file(**fields: Any) -> dict[str, Any]:
    return {"file_id": "f1", "file_unique_id": "u1", "file_size": 100, **fields}


async def test_the_largest_size_of_a_photo_reaches_the_model_byte_for_byte(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.add_file("photo-file", PNG)
    telegram.add_file("photo-file-s", b"small")
    async with run(bot) as running:
        await post(running, telegram, updates.photo("what is it?"))
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == ["what is it?\n\n[image]"]
        assert running.files == [(PNG, "image/png")]


async def test_a_later_message_reaches_the_model_with_the_photo(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    telegram.add_file("photo-file", PNG)
    async with run(bot) as running:
        await post(running, telegram, updates.photo("what is it?"))
        await said(telegram, ALICE)
        await post(running, telegram, updates.private_message("and now?"))
        await said(telegram, ALICE, 2)
        assert running.files == [(PNG, "image/png")] * 2


async def test_a_document_has_its_name(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    telegram.add_file("f1", PDF)
    document = file(file_name="../bill.pdf", mime_type="application/pdf")
    async with run(bot) as running:
        await post(running, telegram, updates.attached("how much?", document=document))
        await said(telegram, ALICE)
        assert running.prompts == ["how much?\n\n[document 'bill.pdf']"]
        assert running.files == [(PDF, "application/pdf")]


NO_SOUND = "I cannot listen to recordings."
SQUARE = {"width": 10, "height": 10}


@pytest.mark.parametrize(
    ("fields", "title", "reason"),
    [
        ({"voice": file(duration=3, mime_type="audio/ogg")}, "voice", NO_SOUND),
        ({"audio": file(duration=3, file_name="song.mp3")}, "audio 'song.mp3'", NO_SOUND),
        ({"video": file(duration=3, **SQUARE)}, "video", NO_SOUND),
        ({"video_note": file(duration=3, length=10)}, "video", NO_SOUND),
        ({"animation": file(duration=3, **SQUARE), "document": file()}, "video", NO_SOUND),
        (
            {"sticker": file(type="regular", is_animated=True, is_video=False, emoji="🎉", **SQUARE)},
            "sticker",
            "I cannot read files of that type.",
        ),
    ],
    ids=lambda fields: next(iter(fields)) if isinstance(fields, dict) else "",
)
async def test_a_file_that_the_model_cannot_read_is_named_in_the_answer(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: dict[str, Any], title: str, reason: str
) -> None:
    telegram.add_file("f1", b"\x1f\x8b\0\xff")
    async with run(bot) as running:
        await post(running, telegram, updates.attached(**fields))
        unread = f"I could not read the {title}: {reason}"
        assert await said(telegram, ALICE) == [f"heard\n\n{unread}"]


PLACE = {"latitude": 48.4, "longitude": 10}
CONTACT = {"phone_number": "+491234", "first_name": "Ana", "last_name": "Lux"}
POLL = {
    "id": "1",
    "question": "Lunch?",
    "options": [{"text": text, "voter_count": 0, "persistent_id": text} for text in ("yes", "no")],
    "total_voter_count": 0,
    "is_closed": False,
    "is_anonymous": True,
    "type": "regular",
    "allows_multiple_answers": False,
    "allows_revoting": True,
    "members_only": False,
}


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({"location": PLACE}, "[location]\nlatitude 48.4, longitude 10\n[end of location]"),
        (
            {"venue": {"location": PLACE, "title": "Minster", "address": "Ulm"}, "location": PLACE},
            "[location]\nMinster, Ulm (latitude 48.4, longitude 10)\n[end of location]",
        ),
        ({"contact": CONTACT}, "[contact]\nAna Lux, +491234\n[end of contact]"),
        ({"poll": POLL}, "[poll]\nLunch? (yes, no)\n[end of poll]"),
    ],
    ids=["location", "venue", "contact", "poll"],
)
async def test_attachments_without_a_file_reach_the_model_as_text(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: dict[str, Any], prompt: str
) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.attached(**fields))
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == [prompt]


async def test_a_file_above_the_limit_is_not_requested(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    document = file(file_name="film.bin", file_size=21 * 2**20)
    async with run(bot) as running:
        await post(running, telegram, updates.attached("watch", document=document))
        (answer,) = await said(telegram, ALICE)
        assert answer.endswith("The document 'film.bin' is larger than 20 MB.")
        assert telegram.called("getFile") == []


async def test_a_file_that_telegram_refuses_to_serve_is_named(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.attached("read", document=file(file_name="a.txt")))
        (answer,) = await said(telegram, ALICE)
        assert "I could not read the document 'a.txt': Telegram does not give out the document 'a.txt'" in answer
        assert telegram.token not in answer


@pytest.mark.parametrize("failure", [{"code": 502}, {"retry_after": 1}], ids=str)
async def test_telegram_is_asked_again_for_a_file(
    run: Run, bot: Telegram, telegram: TelegramServer, failure: dict[str, Any]
) -> None:
    telegram.add_file("f1", b"milk, eggs")
    telegram.fail("getFile", **failure)
    async with run(bot) as running:
        await post(running, telegram, updates.attached("read", document=file(file_name="a.txt")))
        assert await said(telegram, ALICE) == ["heard"]
        assert "milk, eggs" in running.prompts[0]
        assert len(telegram.called("getFile")) == 2


@pytest.mark.parametrize(
    "fields",
    [{"photo": [{"file_id": 5}]}, {"document": "x"}, {"voice": file(file_size="1")}, {"location": {}}],
    ids=str,
)
async def test_a_malformed_attachment_is_refused(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: dict[str, Any]
) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, updates.attached(**fields)) == 400
        assert running.inbox() == []
    assert bot.refusals.last is not None
    assert bot.refusals.last.reason == "it is malformed"
