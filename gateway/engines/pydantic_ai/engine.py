"""The engine that runs agents on pydantic-ai."""

from collections.abc import AsyncIterable, Sequence
from functools import cache, partial
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import AgentRunResult, AgentStreamEvent, DeferredToolRequests, RunContext
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.exceptions import UsageLimitExceeded, UserError
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserContent,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.usage import UsageLimits

from gateway.engines.prompts import answer_to, prompt_for
from gateway.engines.providers import missing_key
from gateway.engines.pydantic_ai.history import to_files, to_item, to_messages, to_user_content
from gateway.engines.pydantic_ai.native_tools import NativeToolWatch
from gateway.engines.pydantic_ai.replay import Replay
from gateway.engines.pydantic_ai.tools import RETRIES, AgentToolset
from gateway.engines.tools import EngineRun, native_context
from gateway.executor import equip_loop
from gateway.runs.engine import Answer, MaxTurnsExceededError, RunnableAgent
from gateway.runs.events import EventHandler, TextDelta, TokensUsed
from gateway.runs.items import SessionItem
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from oauth import SettingError
from toolkits import Attachment, QuotedMessage, TurnContext
from toolkits.text import storable_json


class PydanticAIEngine:
    """Runs agents on pydantic-ai.

    Each template has one pydantic-ai agent, with the schemas and validators of its tools. Each run passes an
    `EngineRun` as `deps`, which has the copy of the agent on which the tools act.
    """

    def __init__(self) -> None:
        self._agents: WeakKeyDictionary[RunnableAgent, PydanticAgent[EngineRun, str]] = WeakKeyDictionary()

    def check(self, agent: RunnableAgent) -> None:
        if agent.native is None:
            _model(agent.model)

    async def run(
        self,
        agent: RunnableAgent,
        text: str,
        context: TurnContext,
        history: Sequence[SessionItem],
        handler: EventHandler,
        *,
        stream: bool,
        attachments: Sequence[Attachment] = (),
        quoted: Sequence[QuotedMessage] = (),
        journal: EngineJournal = NO_JOURNAL,
        max_turns: int | None = None,
    ) -> Answer:
        async def forward(_: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
            async for event in events:
                if delta := _text_delta(event):
                    await handler(TextDelta(delta))

        run = EngineRun(agent, context, handler, journal)
        model = _model(agent.model) if agent.native is None else agent.native.model
        prompt = await prompt_for(agent, text, attachments, quoted, history, partial(_takes, model))
        asked, messages = to_user_content(prompt), to_messages(history)
        limits = UsageLimits(request_limit=max_turns) if max_turns is not None else None
        try:
            if agent.native is not None:
                result = await self._run_native(run, asked, messages, forward if stream else None, limits)
            else:
                result = await self._agent(agent.template).run(
                    asked,
                    model=model,
                    instructions=agent.instructions or None,
                    deps=run,
                    message_history=messages,
                    event_stream_handler=forward if stream and _can_stream(model) else None,
                    usage_limits=limits,
                )
        except UsageLimitExceeded as error:
            if max_turns is None:
                raise
            raise MaxTurnsExceededError(agent, max_turns) from error
        await handler(TokensUsed(result.usage.total_tokens))
        added = result.new_messages()
        return answer_to(prompt, _text(result.output), [to_item(each) for each in added], to_files(added))

    async def _run_native(
        self,
        run: EngineRun,
        asked: str | Sequence[UserContent],
        messages: list[ModelMessage],
        forward: Any,
        limits: UsageLimits | None,
    ) -> AgentRunResult[Any]:
        native: AbstractAgent[Any, Any] = run.agent.native
        streams = forward is not None and _can_stream(native.model)
        ours = AgentToolset(run.agent.template, run)
        with AbstractAgent.using_thread_executor(equip_loop()):  # anyio would not replace threads that hang
            return await native.run(
                asked,
                deps=native_context(run.agent, run.context),
                message_history=messages,
                event_stream_handler=forward if streams else None,
                capabilities=[Replay(run), NativeToolWatch(run, ours)],
                toolsets=[ours],
                usage_limits=limits,
            )

    def _agent(self, template: RunnableAgent) -> PydanticAgent[EngineRun, str]:
        if template not in self._agents:
            self._agents[template] = PydanticAgent(
                deps_type=EngineRun, retries=RETRIES, toolsets=[AgentToolset(template)], capabilities=[Replay()]
            )
        return self._agents[template]


def _model(model: Any) -> Model:
    return model if isinstance(model, Model) else _infer(model)


@cache
def _infer(name: str) -> Model:
    try:
        return infer_model(name)
    except ImportError as error:
        extra = name.partition(":")[0].partition("-")[0]
        raise SettingError(
            f"The model {name!r} needs a package that is not installed: pip install 'understudy[{extra}]'."
        ) from error
    except (UserError, ValueError) as error:
        raise missing_key(name) or SettingError(
            f"The model {name!r} (UNDERSTUDY_MODEL, or Agent(model=…)) cannot be used: {error}"
        ) from None


def _takes(model: Any, media_type: str) -> bool:
    """Return whether a model takes files of a media type, as far as pydantic-ai knows."""
    profile = model.profile if isinstance(model, Model) else {}
    if media_type.startswith("image/"):
        return bool(profile.get("supports_image_input", True))
    takes_documents = profile.get("supports_document_input", True)
    return bool(takes_documents) and media_type in profile.get("supported_document_media_types", (media_type,))


def _can_stream(model: Any) -> bool:
    """Return whether a model implements streaming. Custom models need not."""
    match model:
        case FunctionModel():
            return model.stream_function is not None
        case WrapperModel():
            return _can_stream(model.wrapped)
        case FallbackModel():
            return all(map(_can_stream, model.models))
        case Model():
            return type(model).request_stream is not Model.request_stream
    return True


def _text(output: Any) -> str:
    if isinstance(output, BinaryContent):
        return ""  # it is one of the files
    if isinstance(output, DeferredToolRequests):
        raise NotImplementedError(
            "the pydantic-ai agent waits for its own approval or for an external tool, which is not supported yet: "
            "use a toolkit with @tool(approval=True)"
        )
    return output if isinstance(output, str) else storable_json(output)


def _text_delta(event: AgentStreamEvent) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""
