"""Markdown as Slack's mrkdwn."""

import time

from support.channels.renderers import EVERYTHING

from interfaces.slack.format import MrkdwnRenderer, without_mention


def test_every_kind_of_markup_is_rendered() -> None:
    assert MrkdwnRenderer().render(EVERYTHING) == [
        "*Title*\n\n"
        "A _slanted_, *strong*, ~gone~ `code &lt;b&gt;` <https://a.test/?x=1&y=2|link> word &lt;script&gt;.\n\n"
        "• one\n• two\n    1. nested\n    2. again\n\n"
        "> quoted\n> twice\n\n"
        "```\nif a &lt; b: pass\n```\n\n"
        "```\na | b\n--+---\n1 | 22\n```\n\n"
        "———"
    ]


def test_no_text_makes_slack_notify_anybody() -> None:
    assert MrkdwnRenderer().render("<!channel> <@U1> &lt;!here&gt;") == ["&lt;!channel&gt; &lt;@U1&gt; &lt;!here&gt;"]


def test_many_mentions_in_a_message_take_a_moment() -> None:
    """Each of them may begin a mention that is never closed."""

    def steps(count: int) -> float:
        text = "<@U1|" * count
        times = []
        for _ in range(3):
            began = time.process_time()
            assert without_mention(text, "U1") == text
            times.append(time.process_time() - began)
        return min(times)

    assert steps(40_000) < 10 * steps(10_000) + 0.05
