"""Any markdown is rendered whole, in parts that the platform accepts. `make fuzz` tries more: see tests/fuzz."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.channels.renderers import RENDERERS, check_rendering

WORDS = st.sampled_from(
    ["word", "重要。", "これは", "🎭", "<b>", "&amp;", "a_b", "2*3", "x" * 700, "`", "\\|", "```", "[^1]"]
)
text = st.lists(WORDS, min_size=1, max_size=12).map(" ".join) | st.lists(WORDS, min_size=1, max_size=4).map("".join)


def wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return a strategy for texts with formats around or beside them."""
    formats = st.sampled_from(["**{}**", "*{}*", "~~{}~~", "`{}`", "[{}](https://a.test/x_y)", "![{}](!here)", "a{}b"])
    return st.builds(str.format, formats, inner) | st.builds("{}{}".format, inner, inner)


inline = st.recursive(text, wrapped, max_leaves=6).map(lambda found: found.replace("\n", " "))
table = st.integers(1, 4).flatmap(
    lambda columns: st.lists(st.lists(inline, min_size=columns, max_size=columns), min_size=1, max_size=4).map(
        lambda rows: "\n".join([row(rows[0]), row(["---"] * columns), *map(row, rows[1:])])
    )
)


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return a strategy for blocks that contain other blocks."""
    marks = st.sampled_from([("> ", "> "), ("- ", "  "), ("7. ", "   "), ("- [x] ", "  "), ("", "")])
    inside = st.builds(lambda mark, block: mark[0] + block.replace("\n", "\n" + mark[1]), marks, inner)
    return inside | st.builds("{}\n\n{}".format, inner, inner)


block = st.one_of(
    inline,
    inline.map("## {}".format),
    inline.map("[^1]: {}".format),
    table,
    st.builds("````{}\n{}\n````".format, st.sampled_from(["", "python"]), st.lists(text, max_size=5).map("\n".join)),
)
documents = st.builds(
    lambda document, times: "\n\n".join([document] * times),
    st.recursive(block, nested, max_leaves=5),
    st.sampled_from([1, 1, 1, 30]),
)


@pytest.mark.parametrize("name", RENDERERS)
def test_any_document_is_rendered_whole_in_parts_that_the_platform_accepts(name: str) -> None:
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(document=documents)
    def test(document: str) -> None:
        check_rendering(name, document)

    test()
