"""Models that cannot stream also answer in channels that show answers while they are written."""

from pathlib import Path
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import Model as SDKModel
from agents import ModelResponse as SDKResponse
from agents import Usage
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from support.stage import stage

from gateway import Agent


class _Whole(Model):
    model_name = "whole"
    system = "test"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return ModelResponse([TextPart("All of it.")])


class _WholeOfSDK(SDKModel):
    async def get_response(self, *args: Any, **options: Any) -> SDKResponse:
        text = ResponseOutputText(text="All of it.", type="output_text", annotations=[])
        message = ResponseOutputMessage(id="m1", content=[text], role="assistant", status="completed", type="message")
        return SDKResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError


AGENTS = {
    "pydantic-ai": lambda: Agent(model=_Whole()),
    "wrapped": lambda: Agent(model=WrapperModel(_Whole())),
    "fallback": lambda: Agent(model=FallbackModel(_Whole(), _Whole())),
    "openai-agents": lambda: Agent(SDKAgent(name="whole", model=_WholeOfSDK())),
}


@pytest.mark.parametrize("made", AGENTS.values(), ids=AGENTS)
async def test_a_model_without_streams_answers(tmp_path: Path, made: Any) -> None:
    scene = stage(tmp_path, agent=made(), streams=True)
    async with scene.open():
        assert await scene.ask("alice", "hello") == "All of it."
