"""Files that a model returns are sent with its answer, and not kept in the history."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from agents import Agent as SDKAgent
from agents import Model, ModelResponse, Usage
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from openai.types.responses.response_output_item import ImageGenerationCall
from pydantic import TypeAdapter
from pydantic_ai.messages import BinaryContent, FilePart, ModelMessage, TextPart
from pydantic_ai.messages import ModelResponse as PydanticResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.files import PNG
from support.stage import stage

from gateway import Agent, File, Message
from gateway.runs.engine import Answer
from gateway.testing.channel import REFUSED_TYPE

IMAGE = b64encode(PNG).decode()


def _pydantic(said: str) -> Agent:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> PydanticResponse:
        return PydanticResponse([TextPart(said), FilePart(BinaryContent(PNG, media_type="image/png"))])

    return Agent(model=FunctionModel(answer), name="painter")


def _langgraph(said: str) -> Agent:
    content: Any = [
        {"type": "text", "text": said},
        {"type": "image", "base64": IMAGE, "mime_type": "image/png"},
    ]
    answers = iter(AIMessage(content) for _ in range(10))
    chosen = GenericFakeChatModel(messages=answers)

    async def ask(state: MessagesState) -> Any:
        return {"messages": [await chosen.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    return Agent(graph.compile(), name="painter")


class _Painting(Model):
    def __init__(self, said: str) -> None:
        self.said = said

    async def get_response(self, *args: Any, **options: Any) -> ModelResponse:
        text = ResponseOutputText(text=self.said, type="output_text", annotations=[])
        message = ResponseOutputMessage(id="m1", content=[text], role="assistant", status="completed", type="message")
        made = ImageGenerationCall(id="i1", result=IMAGE, status="completed", type="image_generation_call")
        return ModelResponse(output=[made, message], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError


def _sdk(said: str) -> Agent:
    return Agent(SDKAgent(name="painter", model=_Painting(said)), name="painter")


PAINTERS = {"pydantic-ai": _pydantic, "langgraph": _langgraph, "openai-agents": _sdk}


@pytest.mark.parametrize("engine", PAINTERS)
async def test_an_image_of_the_model_is_sent_with_the_text(engine: str, tmp_path: Path) -> None:
    scene = stage(tmp_path, agent=PAINTERS[engine]("A cat."))
    async with scene.open():
        await scene.write("alice", "paint a cat")
        await scene.wait_for(1)
        assert await scene.ask("alice", "again") == "A cat."
    assert [(sent.text, list(sent.files.values())) for sent in scene.sent] == [("A cat.", [PNG])] * 2
    assert IMAGE not in str(scene.rows("SELECT data, text FROM session_items"))


@pytest.mark.parametrize("engine", PAINTERS)
async def test_an_image_of_an_agent_in_a_flow_is_sent_with_the_answer_of_the_flow(engine: str, tmp_path: Path) -> None:
    painter = PAINTERS[engine]("A cat.")

    async def flow(message: Message) -> str:
        return f"{await painter(message)} And a frame."

    scene = stage(tmp_path, agent=Agent(flow, members=[painter]))
    async with scene.open():
        assert await scene.ask("alice", "paint a cat") == "A cat. And a frame."
    assert [list(sent.files.values()) for sent in scene.sent] == [[PNG]]


async def test_an_image_that_the_platform_does_not_take_is_named_in_the_answer(tmp_path: Path) -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> PydanticResponse:
        return PydanticResponse([TextPart("A cat."), FilePart(BinaryContent(PNG, media_type=REFUSED_TYPE))])

    scene = stage(tmp_path, agent=Agent(model=FunctionModel(answer)))
    async with scene.open():
        said = await scene.ask("alice", "paint a cat")
    assert said == "A cat.\n\nThe file 'file' cannot be sent. The stage does not take this type."


def test_a_recorded_answer_of_a_call_in_a_flow_keeps_its_files() -> None:
    adapter, answer = TypeAdapter(Answer), Answer("A cat.", [], [], [File(PNG, name="cat.png")])
    assert adapter.validate_json(adapter.dump_json(answer)) == answer
