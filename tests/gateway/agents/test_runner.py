"""Running flows without a gateway."""

import pytest

from gateway import Message, Runner, SettingError


async def test_calling_a_runner_runs_the_flow() -> None:
    async def flow(message: Message) -> str:
        return f"{message}!"

    assert await Runner(flow)("hi") == "hi!"


def test_a_function_that_is_not_async_is_refused_with_its_name() -> None:
    def answer(message: Message) -> str:
        return message.text

    with pytest.raises(
        SettingError, match=r"The flow answer is not an async function: write `async def answer\(message\)`"
    ):
        Runner(answer)  # type: ignore[arg-type]
