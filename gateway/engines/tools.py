"""The tools of an agent, in the form from which every engine makes its framework's own."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, SchemaValidator, core_schema, to_json

from gateway.engines.watching import DeniedError, watched
from gateway.runs.engine import RunnableAgent, load_engine
from gateway.runs.events import EventHandler, ToolStarted
from gateway.runs.journal import NO_JOURNAL, EngineJournal
from oauth import OAuthProvider
from oauth.visible import visible
from toolkits import Function, ToolError, TurnContext, preview
from toolkits.text import storable, storable_json, storable_value

MAX_PREVIEW = 20_000  # characters of an action that a person has to read before they approve it

# For the model.
ASKS_FIRST = "The user is asked for approval when you call it, so do not ask them yourself."
DENIED = "The user said no, so it was not done. Do not try it again unless they ask for it."
TOO_LONG_TO_ASK = f"This is too long for the user to read and approve: the limit is {MAX_PREVIEW} characters."
NOBODY_TO_ASK = "This needs the user's approval, and nobody can be asked here, so it was not done."


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One run of an engine, as the tools that are called in it see it: see `Engine.run`.

    Args:
        agent: the copy whose tools they are.
    """

    agent: RunnableAgent
    context: TurnContext
    handler: EventHandler
    journal: EngineJournal = NO_JOURNAL


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What an engine and the gateway need to know of a tool before it is called.

    Args:
        parameters: the JSON Schema of the arguments.
        validator: validates the arguments, as a mapping or as JSON.
        private: whether the result is for the sender alone.
        provider: the provider whose account the tool uses, if that is known beforehand.
        read_only: whether the tool changes nothing, so that a call may be repeated.
        needs_approval: whether the turn's person has to approve a call before it is made.
        label: what people are shown while a call runs.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    validator: SchemaValidator
    private: bool = False
    provider: str | None = None
    read_only: bool = False
    needs_approval: bool = False
    label: str = ""


class AgentTool(ABC):
    """A tool of an agent. It serves all runs: each call names the run, on whose copy of the agent the tool acts.

    Attributes:
        description: for the model: that of the spec, and that the user is asked for approval if they are.
    """

    def __init__(self, spec: ToolSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.description = f"{spec.description}\n\n{ASKS_FIRST}".strip() if spec.needs_approval else spec.description

    @abstractmethod
    async def _call(self, run: EngineRun, arguments: Mapping[str, Any], key: str) -> Any:
        """Do what the tool does."""

    async def _preview(self, run: EngineRun, arguments: Mapping[str, Any]) -> str:
        """Return what a call is about to do, in markdown, for the person who is to approve it."""
        return preview.call(self.name, arguments)

    async def call(self, run: EngineRun, arguments: Mapping[str, Any], call_id: str | None = None) -> Any:
        """Call the tool and report the call to the run's handler; or return what an earlier run of the turn returned.

        Args:
            arguments: by name, validated.
            call_id: see `EngineJournal.key`; random unless given.

        Raises:
            ToolError: if the tool could not do what it was asked. The message is for the model.
        """
        spec, key = self.spec, run.journal.key(call_id or token_hex(8))
        call = ToolStarted(key, self.name, arguments, spec.private, spec.provider, spec.read_only, spec.label)

        async def make() -> Any:
            if spec.needs_approval and not run.journal.is_approved(key, self.name, as_json := storable_json(arguments)):
                async with watched(run.handler, replace(call, read_only=True)):  # to ask changes nothing
                    await self._ask(run, key, arguments, as_json)
            async with watched(run.handler, call) as watch:
                watch.result = _storable(await self._call(run, arguments, key))
            return watch.result

        return await run.journal.call(key, self.name, arguments, run.handler, make, read_only=spec.read_only)

    async def _ask(self, run: EngineRun, key: str, arguments: Mapping[str, Any], as_json: str) -> NoReturn:
        """Ask the turn's person to approve a call, which ends the run, or tell the model that they denied it.

        Raises:
            ApprovalRequiredError: if the person has not decided.
            ToolError: if the person denied the call or cannot be asked.
        """
        if run.journal.is_approved(key, self.name, as_json) is False:
            raise DeniedError(DENIED)
        if not run.journal.is_kept or run.context.message.anonymous:
            raise ToolError(NOBODY_TO_ASK)
        action = visible(await self._preview(run, arguments))
        if len(action) > MAX_PREVIEW:
            raise ToolError(TOO_LONG_TO_ASK)
        await run.journal.ask(key, self.name, as_json, action)

    async def call_for_text(
        self, run: EngineRun, arguments: Mapping[str, Any] | str, call_id: str | None = None
    ) -> str:
        """Call the tool for a framework that neither validates the arguments nor turns the result into text.

        Args:
            arguments: by name, or as a JSON object.
            call_id: as in `call`.

        Raises:
            ToolError: as `call`, and if the arguments do not fit the schema.
        """
        validator = self.spec.validator
        try:
            if isinstance(arguments, str):
                validated = validator.validate_json(arguments or "{}")
            else:
                validated = validator.validate_python(arguments)
        except ValidationError as error:
            reasons = json.dumps(error.errors(include_url=False, include_context=False, include_input=False))
            raise ToolError(f"The arguments of {self.name} do not fit its schema: {reasons}") from error
        result = await self.call(run, validated, call_id)
        return result if isinstance(result, str) else storable_json(result)


class FunctionTool(AgentTool):
    """A tool of one of the agent's toolkits."""

    def __init__(self, function: Function) -> None:
        auth = function.toolkit.auth
        super().__init__(
            ToolSpec(
                function.name,
                function.description,
                function.parameters,
                function.definition.schema.function_schema.validator,
                private=function.toolkit.private,
                provider=auth.name if isinstance(auth, OAuthProvider) else None,
                read_only=function.definition.read_only,
                needs_approval=function.needs_approval,
                label=function.definition.label,
            )
        )

    async def _call(self, run: EngineRun, arguments: Mapping[str, Any], key: str) -> Any:
        return await run.agent.function(self.name).call(arguments, run.context)

    async def _preview(self, run: EngineRun, arguments: Mapping[str, Any]) -> str:
        return await run.agent.function(self.name).preview(arguments, run.context)


_TASK_SCHEMA = {
    "type": "object",
    "properties": {"task": {"type": "string", "description": "What it is asked, with all that it needs to know."}},
    "required": ["task"],
    "additionalProperties": False,
}
_TASK_VALIDATOR = SchemaValidator(
    core_schema.typed_dict_schema({"task": core_schema.typed_dict_field(core_schema.str_schema())})
)


class MemberTool(AgentTool):
    """A tool with which an agent asks one of its members.

    Args:
        index: the index of the member in the agent's `members`.
    """

    def __init__(self, index: int, member: RunnableAgent) -> None:
        # Asked again, a member continues its own recorded run, where its writing calls are not repeated.
        label = f"Asking {member.name}"
        super().__init__(
            ToolSpec(member.tool_name, member.description, _TASK_SCHEMA, _TASK_VALIDATOR, read_only=True, label=label)
        )
        self._index = index

    async def _call(self, run: EngineRun, arguments: Mapping[str, Any], key: str) -> str:
        member = run.agent.members[self._index]
        engine = load_engine(member.engine)
        task, journal = arguments["task"], run.journal.within(key)
        answer = await engine.run(member, task, run.context, [], run.handler, stream=False, journal=journal)
        return answer.text


def native_context(agent: RunnableAgent, context: TurnContext) -> Any:
    """Return what the tools of a native agent get: the `TurnContext`, or what the agent makes of it."""
    return context if agent.make_context is None else agent.make_context(context)


def own_tools(template: RunnableAgent) -> Sequence[AgentTool]:
    """Return the tools of an agent's toolkits and members, which are the same in every run."""
    functions = [FunctionTool(function) for _, function in template.catalog.values()]
    return [*functions, *(MemberTool(index, member) for index, member in enumerate(template.members))]


def _storable(result: Any) -> Any:
    """Return a tool's result with texts that can be stored and sent to a model."""
    if isinstance(result, str):
        return storable(result)
    if isinstance(result, (dict, list, tuple)):
        try:
            to_json(result, fallback=str)
        except (PydanticSerializationError, UnicodeEncodeError):
            return storable_value(result)
    return result
