"""Files that the bot sends to chats: their kinds, albums, captions, and refusals of Telegram."""

from typing import Any

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.running import Run, Running
from support.channels.telegram import ALICE, AT, GROUP, post, said
from support.files import JPEG, PDF, PNG

from gateway import File
from interfaces.telegram import Telegram
from toolkits import Conversation, ToolError

OGG = b"OggS" + bytes(60)
CHAT = Conversation("telegram", str(updates.BOT["id"]), str(ALICE), shared=False)


async def sent(running: Running, telegram: TelegramServer, text: str, *files: File, count: int) -> Any:
    """Send files to Alice, who has written before, and return the files that she has then."""
    await post(running, telegram, updates.private_message("hello"))
    await said(telegram, ALICE)
    await running.gateway.send(CHAT, text, files=files)
    await said(telegram, ALICE, 1 + count)
    return telegram.sent_files(ALICE)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (File(PNG, name="cat.png"), "photo"),
        (File(JPEG, name="cat.jpg"), "photo"),
        (File(b"GIF89a" + bytes(9), name="cat.gif"), "animation"),
        (File(bytes(99), name="film.mp4"), "video"),
        (File(OGG, name="note.ogg", media_type="audio/ogg"), "voice"),
        (File(bytes(99), name="song.mp3"), "audio"),
        (File(PDF, name="bill.pdf"), "document"),
        (File(b"<svg/>", name="plan.svg"), "document"),
        (File(b"no picture at all", name="broken.png"), "document"),
    ],
    ids=lambda value: value.name if isinstance(value, File) else None,
)
async def test_a_file_is_sent_as_its_kind(
    run: Run, bot: Telegram, telegram: TelegramServer, file: File, kind: str
) -> None:
    async with run(bot) as running:
        assert await sent(running, telegram, "look: **this**", file, count=1) == [(kind, file.name, file.data)]
        assert telegram.said(ALICE)[-1] == "look: this"


async def test_successive_files_of_a_kind_are_one_album_in_order(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    pictures = [File(PNG + bytes([number]), name=f"{number}.png") for number in range(12)]
    files = [*pictures, File(PDF, name="a.pdf"), File(PDF, name="b.pdf"), File(OGG, name="c.ogg")]
    async with run(bot) as running:
        found = await sent(running, telegram, "all", *files, count=15)
        assert [content for _, _, content in found] == [file.data for file in files]
    albums = [len(call["media"]) for call in telegram.called("sendMediaGroup")]
    assert albums == [10, 2, 2]
    assert telegram.said(ALICE)[1:] == ["all", *[""] * 14]
    assert len(telegram.called("sendVoice")) == 1


async def test_a_long_caption_is_a_separate_message(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    long = "long " * 300
    async with run(bot) as running:
        await sent(running, telegram, long, File(PNG, name="cat.png"), count=2)
        assert telegram.said(ALICE)[1:] == [long.strip(), ""]


async def test_a_file_in_a_group_goes_to_the_topic_where_it_was_asked_for(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"{AT} hello", 7))
        await said(telegram, updates.FORUM["id"])
        topic = Conversation("telegram", CHAT.tenant, f"{updates.FORUM['id']}/7", shared=True)
        await running.gateway.send(topic, "", files=[File(PNG, name="cat.png")])
        await said(telegram, updates.FORUM["id"], 2)
        assert telegram.called("sendPhoto")[0]["message_thread_id"] == 7


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.group_mention("hello"))
        await said(telegram, GROUP)
        large = File(bytes(50 * 10**6 + 1), name="film.bin")
        with pytest.raises(ToolError, match="up to 50 MB"):
            await running.gateway.send(CHAT, "", files=[large])


@pytest.mark.long
async def test_a_rate_limit_of_uploads_is_waited_for(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        telegram.fail("sendPhoto", retry_after=1)
        assert len(await sent(running, telegram, "", File(PNG, name="cat.png"), count=1)) == 1
        await wait_until_async(lambda: len(telegram.called("sendPhoto")) == 2, what="the second try")


async def test_a_caption_that_telegram_cannot_parse_is_sent_as_plain_text(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        telegram.fail("sendPhoto", 400, description="Bad Request: can't parse entities: Unsupported start tag")
        assert len(await sent(running, telegram, "**a** cat", File(PNG, name="cat.png"), count=1)) == 1
        assert [call.get("parse_mode") for call in telegram.called("sendPhoto")] == ["HTML", None]
        assert telegram.said(ALICE)[-1] == "a cat"
