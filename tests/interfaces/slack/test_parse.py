"""Events that are messages for the bot, and the text that the agent reads."""

import json
from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said

from interfaces.slack import Slack


async def test_an_event_without_authorizations_is_understood(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        payload = events.message(f"{BOT} hello")
        del payload["authorizations"], payload["event"]["channel_type"]
        assert await post(running, payload) == 200
        await wait_until_async(lambda: running.prompts, what="the turn")
        assert running.prompts == ["hello"]


async def test_an_envelope_with_only_the_required_fields_is_understood(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    channel = emulate.slack_dm("alice")
    event = {"type": "message", "user": seed.ALICE.slack_id, "text": "hello", "ts": events.ts(), "channel": channel}
    bare = {"type": "event_callback", "team_id": seed.SLACK_TEAM_ID, "event_id": "Ev1", "event_time": 1, "event": event}
    async with run(slack) as running:
        for _ in range(2):
            assert await post(running, bare) == 200
        assert await said(emulate, channel, 1) == ["heard"]
        assert len(running.inbox()) == 1


async def test_what_is_not_a_new_message_for_the_bot_starts_no_turn(run: Run, slack: Slack, emulate: Emulate) -> None:
    written = events.message("hello")
    ignored = [
        events.message("hello, all"),
        events.message("a reply", thread_ts="1700000000.000001"),
        events.message_changed(dm(emulate, "hello"), "hello!"),
        events.message_deleted(written),
        events.bot_message(f"{BOT} hello"),
        events.own_message(f"{BOT} hello"),
        events.own_message("hello", channel="D0ALICE01"),
        events.direct_message("Your workspace has a new owner.", "USLACK"),
        events.direct_message("A reminder of Slack's own.", "USLACKBOT"),
        events.app_mention(f"{BOT} was added", "USLACK"),
        events.channel_join(),
        events.member_joined_channel(),
        events.tokens_revoked(),
    ]
    async with run(slack) as running:
        for payload in ignored:
            assert await post(running, payload) == 200
        assert running.inbox() == []


async def test_a_mention_of_an_id_that_begins_like_the_bots_is_not_for_the_bot(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        assert await post(running, events.message(f"<@{seed.SLACK_BOT_USER_ID}2> hello")) == 200
        assert await post(running, events.message("<@U0BOBBY01> hello")) == 200
        assert running.inbox() == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        (
            "see <http://example.com|example.com> and <https://a.test/x?y=1&amp;z=2>",
            "see example.com and https://a.test/x?y=1&z=2",
        ),
        ("<mailto:a@b.test|a@b.test> in <#C0GENERAL|general> <!here>", "a@b.test in #general @here"),
        ("ask <@U0BOBBY01>,\n  please", "ask @Bob,\n  please"),
        ("ask <@U0NOBODY1|eve> or <@U0NOBODY1>", "ask @eve or <@U0NOBODY1>"),
        ("<!subteam^S01|@admins> in <#C0GENERAL>", "@admins in <#C0GENERAL>"),
        (f"hey {BOT} you", "hey you"),
        (f"{BOT}\nline one\n\n  line two", "line one\n\n  line two"),
    ],
)
async def test_the_text_reaches_the_model_as_it_was_written(
    run: Run, slack: Slack, emulate: Emulate, text: str, written: str
) -> None:
    async with run(slack) as running:
        await post(running, dm(emulate, text))
        await wait_until_async(lambda: running.prompts, what="the turn")
        assert running.prompts == [written]


async def test_a_file_whose_text_is_null_is_not_an_error(run: Run, slack: Slack, emulate: Emulate) -> None:
    in_a_channel = events.file_share("")
    in_a_channel["event"]["text"] = None
    channel = emulate.slack_dm("alice")
    direct = events.file_share("", channel=channel, channel_type="im")
    direct["event"]["text"] = None
    async with run(slack) as running:
        for payload in (in_a_channel, direct):
            assert await post(running, payload) == 200
        assert "I could not read the document 'notes.txt'" in (await said(emulate, channel, 1))[0]
        assert len(running.inbox()) == 1


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("", ""),
        ("is that so?", "is that so?"),
    ],
)
async def test_a_forwarded_message_is_read(run: Run, slack: Slack, emulate: Emulate, comment: str, words: str) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        assert await post(running, events.forward(comment, "lunch at &lt;noon&gt;?", channel=channel)) == 200
        assert await said(emulate, channel, 1) == ["heard"]
        block, _, own = running.prompts[0].partition("\n</quoted>")
        assert block.endswith('"Bob" wrote, in a message that the person forwarded:\n> lunch at <noon>?')
        assert own.strip() == words


async def test_a_forwarded_command_does_not_count_as_the_senders(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        await post(running, events.forward("", "accounts", channel=channel))
        assert await said(emulate, channel, 1) == ["heard"]


@pytest.mark.parametrize(
    ("share", "title"),
    [
        ({"text": ""}, "forwarded message"),
        ({"text": "", "files": [{"id": "F1", "mimetype": "image/png"}]}, "image"),
    ],
    ids=["nothing", "a file"],
)
async def test_a_forwarded_message_that_cannot_be_read_is_named(
    run: Run, slack: Slack, emulate: Emulate, share: dict[str, Any], title: str
) -> None:
    async with run(slack) as running:
        channel = emulate.slack_dm("alice")
        await post(running, events.forward("", "", channel=channel, share=share))
        (answer,) = await said(emulate, channel, 1)
        assert f"I could not read the {title}: " in answer


@pytest.mark.parametrize("stored", [{}, {"event": None}, {"event": {"type": "reaction_added"}}])
async def test_a_stored_payload_that_is_not_a_message_is_an_error(slack: Slack, stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="neither a message, a mention nor a slash command"):
        await slack.parse(json.dumps(stored))
