"""Updates that are messages to the bot, and the text that the agent reads."""

from typing import Any

import pytest
from peers import seed
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from pydantic_ai.models.function import FunctionModel
from support.channels.running import Run
from support.channels.telegram import ALICE, AT, GROUP, post, said
from support.files import PNG
from support.stage import FakeProvider, obey

from gateway import TurnContext
from interfaces.telegram import Telegram
from toolkits import Toolkit, tool

pytestmark = pytest.mark.long


async def test_a_private_message_is_answered_once_with_no_preview(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        running.answers.append("**bold** <b>not</b> [link](https://a.test/?x=1&y=2)")
        update = updates.private_message("  hello & <you>  ")
        for _ in range(2):
            assert await post(running, telegram, update) == 200
        await post(running, telegram, updates.private_message("next"))
        assert await said(telegram, ALICE, 2) == ["bold <b>not</b> link", "heard"]
        assert running.prompts == ["hello & <you>", "next"]
        sent = telegram.called("sendMessage")[0]
        assert sent["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize(
    ("update", "prompt"),
    [
        (updates.group_mention("hello"), "hello"),
        (updates.group_message(f"🎭🎭 hi {AT} there"), "🎭🎭 hi there"),
        (updates.group_message(f"{AT.upper()} hello"), "hello"),
        (updates.text_mention("hello"), "hello"),
        (updates.command("weather", "in Ulm", chat=updates.GROUP, at_bot=True), "/weather in Ulm"),
        (updates.photo(f"{AT} what is it?", chat=updates.GROUP), "what is it?\n\n[image]"),
    ],
    ids=["mention", "after emoji", "other case", "text mention", "command", "caption"],
)
async def test_in_a_group_the_bot_answers_what_is_addressed_to_it(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any], prompt: str
) -> None:
    telegram.add_file("photo-file", PNG)
    async with run(bot) as running:
        assert await post(running, telegram, update) == 200
        await said(telegram, GROUP)
        assert running.prompts == [prompt]
        reply = telegram.called("sendMessage")[0]["reply_parameters"]
        assert reply["message_id"] == update["message"]["message_id"]


@pytest.mark.parametrize(("offset", "length"), [(1, 2), (0, 1), (3, 9)])
async def test_an_entity_that_begins_or_ends_inside_a_character_fails_nothing(
    run: Run, bot: Telegram, telegram: TelegramServer, offset: int, length: int
) -> None:
    entity = {"type": "mention", "offset": offset, "length": length}
    async with run(bot) as running:
        assert await post(running, telegram, updates.group_message("🎭🎭 hello", entities=[entity])) == 200
        assert await post(running, telegram, updates.private_message("🎭🎭 hello", entities=[entity])) == 200
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == ["🎭🎭 hello"]


async def test_a_reply_to_the_bot_is_for_it(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.group_mention("hello"))
        await said(telegram, GROUP)
        await post(running, telegram, updates.reply("and?", telegram.messages(GROUP)[0]))
        await said(telegram, GROUP, 2)
        assert running.prompts[0] == "hello"
        assert running.prompts[1].startswith("<quoted>")
        assert running.prompts[1].endswith("> heard\n</quoted>\n\nand?")


async def test_an_update_that_is_not_a_new_message_to_the_bot_starts_no_turn(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    private, group = updates.private_message("hello"), updates.group_message("hello, all")
    from_a_bot = updates.group_mention("hello")
    from_a_bot["message"]["from"] = {"id": 5, "is_bot": True, "first_name": "Other"}
    forwarded = updates.as_channel(f"{AT} news")
    forwarded["message"]["is_automatic_forward"] = True
    ignored = [
        group,
        updates.edited(private, "hello!"),
        updates.channel_post(f"{AT} hello"),
        updates.new_chat_members(seed.BOB),
        updates.new_chat_members(),
        updates.my_chat_member(updates.GROUP, "left", "member"),
        updates.callback_query("x", private["message"]),
        updates.group_message("/help@other_bot"),
        updates.group_message("@other_bot hello"),
        updates.photo(chat=updates.GROUP),
        updates.topic_message("hello, topic"),
        from_a_bot,
        forwarded,
    ]
    async with run(bot) as running:
        for update in ignored:
            assert await post(running, telegram, update) == 200
        assert running.inbox() == []


async def test_a_forum_topic_is_answered_in_the_topic(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"{AT} hello", 7))
        await said(telegram, updates.FORUM["id"])
        assert telegram.called("sendMessage")[0]["message_thread_id"] == 7
        assert running.prompts == ["hello"]


class Tongue(Toolkit):
    @tool
    async def which(self, context: TurnContext) -> str:
        """Say the language of the person."""
        return f"{context.message.sender_name}: {context.locale or 'unknown'}"


async def test_a_tool_knows_the_language_of_the_person(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot, [Tongue()], model=FunctionModel(obey)) as running:
        await post(running, telegram, updates.private_message("call which"))
        assert await said(telegram, ALICE) == ["Alice: en"]


async def test_commands(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.command("start"))
        await post(running, telegram, updates.command("help"))
        await post(running, telegram, updates.private_message("the word is walnut"))
        await post(running, telegram, updates.command("new"))
        await post(running, telegram, updates.private_message("which word?"))
        answers = await said(telegram, ALICE, 5)
        assert answers[0].startswith("Hello")
        assert "/new" in answers[1]
        assert "new conversation" in answers[3]
        assert running.prompts == ["the word is walnut", "which word?"]
        assert "walnut" not in str(running.told[-1])


class Account(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def whose(self, context: TurnContext) -> str:
        """Tell whose account it is."""
        return str(await context.credentials("fake", {"read"}))


@pytest.mark.parametrize("update", [updates.anonymous_admin(f"{AT} hello"), updates.as_channel(f"{AT} hello")])
async def test_a_sender_who_writes_as_a_group_or_a_channel_gets_no_credentials(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any]
) -> None:
    async with run(bot, [Account()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        assert await post(running, telegram, update) == 200
        assert "cannot tell who you are" in (await said(telegram, GROUP))[0]
        assert "reply_markup" not in telegram.called("sendMessage")[0]


@pytest.mark.parametrize(
    ("update", "prompt"),
    [
        (updates.group_message(f"👩‍👩‍👧 é {AT} a {AT} b"), "👩‍👩‍👧 é a b"),
        (updates.group_message(f"say 🎭 {AT}"), "say 🎭"),
        (updates.group_message(f"{AT}\n  two\n\n  lines &amp; <b>"), "two\n\n  lines &amp; <b>"),
        (updates.group_message(f"ask @other_bot, {AT} please"), "ask @other_bot, please"),
        (updates.photo(f"🎭🎭 {AT} what is it?", chat=updates.GROUP), "🎭🎭 what is it?\n\n[image]"),
        (updates.private_message(f"who is {AT}?"), "who is ?"),
    ],
    ids=["twice", "last", "lines", "another's", "caption", "private"],
)
async def test_only_the_mention_of_the_bot_is_removed(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any], prompt: str
) -> None:
    telegram.add_file("photo-file", PNG)
    async with run(bot) as running:
        await post(running, telegram, update)
        await said(telegram, update["message"]["chat"]["id"])
        assert running.prompts == [prompt]


async def test_each_topic_and_each_chat_has_its_own_history(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.topic_message(f"{AT} the word is walnut", 7))
        await said(telegram, updates.FORUM["id"])
        for update in (
            updates.topic_message(f"{AT} which word?", 8),
            updates.group_mention("which word?"),
            updates.private_message("which word?"),
            updates.topic_message(f"{AT} which word?", 7),
        ):
            before = len(running.told)
            await post(running, telegram, update)
            await wait_until_async(lambda count=before: len(running.told) > count, what="the turn")
        assert ["walnut" in str(told) for told in running.told] == [True, False, False, False, True]


async def test_a_command_in_a_group_is_answered_unless_it_is_another_bots(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot) as running:
        for text in ("/start@other_bot", "/new@other_bot", "/weather@other_bot hi"):
            assert await post(running, telegram, updates.group_message(text)) == 200
        assert running.inbox() == []
        await post(running, telegram, updates.group_message(f"/help{AT.upper()}"))
        assert "/new" in (await said(telegram, GROUP))[0]
        assert running.prompts == []


async def test_new_ends_only_the_history_of_its_own_chat(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        await post(running, telegram, updates.private_message("the word is walnut"))
        await said(telegram, ALICE)
        await post(running, telegram, updates.command("new", chat=updates.GROUP, at_bot=True))
        await said(telegram, GROUP)
        await post(running, telegram, updates.private_message("which word?"))
        await said(telegram, ALICE, 2)
        assert "walnut" in str(running.told[-1])


@pytest.mark.parametrize(
    ("captions", "text"),
    [
        ([None, None, None], ""),
        (["look", None, None], "look\n\n"),
        ([None, "look", None], "look\n\n"),
        (["one", "two", None], "one\n\ntwo\n\n"),
    ],
    ids=["no caption", "caption", "later caption", "captions"],
)
async def test_an_album_is_one_message_whatever_the_order_of_its_items(
    run: Run, bot: Telegram, telegram: TelegramServer, captions: list[str | None], text: str
) -> None:
    for number in range(3):
        telegram.add_file(f"photo-{number}", PNG)
    async with run(bot) as running:
        album = updates.album(*captions)
        for update in (*reversed(album), *album, *updates.album("next"), updates.private_message("after")):
            assert await post(running, telegram, update) == 200
        assert await said(telegram, ALICE, 3) == ["heard"] * 3
        assert running.prompts == [f"{text}[image]\n\n[image]\n\n[image]", "next\n\n[image]", "after"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=str)
async def test_an_album_in_a_group_is_for_the_bot_if_one_of_its_captions_is(
    run: Run, bot: Telegram, telegram: TelegramServer, order: tuple[int, ...]
) -> None:
    for number in range(3):
        telegram.add_file(f"photo-{number}", PNG)
    async with run(bot) as running:
        album = updates.album(None, f"{AT} which is best?", "the last", chat=updates.GROUP)
        for number in order:
            assert await post(running, telegram, album[number]) == 200
        for update in updates.album("for all of us", None, chat=updates.GROUP):
            assert await post(running, telegram, update) == 200
        await post(running, telegram, updates.group_mention("after"))
        assert await said(telegram, GROUP, 2) == ["heard"] * 2
        assert running.prompts == ["which is best?\n\nthe last\n\n[image]\n\n[image]\n\n[image]", "after"]


@pytest.mark.parametrize(
    ("update", "prompt"),
    [
        (updates.checklist(), "[checklist]\nShopping\n- milk\n- bread\n[end of checklist]"),
        (updates.rich_message(), "[rich message]\nhello\n[end of rich message]"),
        (updates.attached(dice={"emoji": "🎲", "value": 3}), "[dice]\n🎲 3\n[end of dice]"),
    ],
    ids=["checklist", "rich message", "dice"],
)
async def test_attachments_without_a_file_reach_the_model_as_text(
    run: Run, bot: Telegram, telegram: TelegramServer, update: dict[str, Any], prompt: str
) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, update) == 200
        assert await said(telegram, ALICE) == ["heard"]
        assert running.prompts == [prompt]


async def test_a_story_is_named_as_unread(run: Run, bot: Telegram, telegram: TelegramServer) -> None:
    async with run(bot) as running:
        assert await post(running, telegram, updates.attached(story={"chat": updates.GROUP, "id": 1})) == 200
        unread = "I could not read the story: I cannot read that kind of message."
        assert await said(telegram, ALICE) == [f"heard\n\n{unread}"]


@pytest.mark.parametrize(
    "fields",
    [
        {"pinned_message": updates.private_message("pinned")["message"]},
        {"checklist_tasks_done": {"marked_as_done_task_ids": [1]}},
        {"message_auto_delete_timer_changed": {"message_auto_delete_time": 86400}},
        {"write_access_allowed": {}},
        {"chat_background_set": {"type": {"type": "chat_theme", "theme_name": "x"}}},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_a_service_message_starts_no_turn(
    run: Run, bot: Telegram, telegram: TelegramServer, fields: dict[str, Any]
) -> None:
    update = updates.private_message("x", **fields)
    del update["message"]["text"]
    async with run(bot) as running:
        assert await post(running, telegram, update) == 200
        assert running.inbox() == []
