"""The notes and the label of a phase."""

import pytest

from gateway import Message, Runner, phase


async def test_a_phase_has_notes_and_a_label() -> None:
    async def flow(message: Message) -> str:
        async with phase("Research") as p:
            assert p is not None
            p.sources = 3
            p.sources += 1
            assert (p.label, p.sources, p.data) == ("Research", 4, {"sources": 4})
            with pytest.raises(AttributeError, match="no note 'other'"):
                _ = p.other
            for name in ("label", "get_items", "_data"):
                with pytest.raises(AttributeError):
                    setattr(p, name, 1)
        return "done"

    assert await Runner(flow).run("go") == "done"
