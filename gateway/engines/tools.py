"""The tools of an agent, in a form that every engine translates into the tools of its framework."""

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

# Sentences for the model.
ASKS_FIRST = "The user is asked for approval when you call it, so do not ask them yourself."
DENIED = "The user said no, so it was not done. Do not try it again unless they ask for it."
TOO_LONG_TO_ASK = f"This is too long for the user to read and approve: the limit is {MAX_PREVIEW} characters."
NOBODY_TO_ASK = "This needs the user's approval, and nobody can be asked here, so it was not done."


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One run of an engine, as its tools see it. `Engine.run` describes the fields.

    Args:
        agent: the copy of the agent that the tools belong to.
    """

    agent: RunnableAgent
    context: TurnContext
    handler: EventHandler
    journal: EngineJournal = NO_JOURNAL


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """The description of a tool, for engines and for the gateway.

    Args:
        parameters: the JSON Schema of the arguments.
        validator: validates the arguments, as a mapping or as JSON.
        private: whether only the sender may see the result.
        provider: the OAuth provider whose account the tool uses, if that is known before a call.
        read_only: whether the tool changes nothing, so that a call may be repeated.
        needs_approval: whether the turn's person has to approve each call.
        label: the text that people see while a call runs.
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
    """A tool of an agent. One object serves all runs: each call gets the run, and acts on the run's copy of the agent.

    Attributes:
        description: the description for the model. It also says whether the user is asked for approval.
    """

    def __init__(self, spec: ToolSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.description = f"{spec.description}\n\n{ASKS_FIRST}".strip() if spec.needs_approval else spec.description

    @abstractmethod
    async def _call(self, run: EngineRun, arguments: Mapping[str, Any], key: str) -> Any:
        """Execute a call.

        Args:
            key: the key of the call in the run's journal.
        """

    async def _preview(self, run: EngineRun, arguments: Mapping[str, Any]) -> str:
        """Return a preview of a call, in markdown, for the person who is asked to approve it."""
        return preview.call(self.name, arguments)

    async def call(self, run: EngineRun, arguments: Mapping[str, Any], call_id: str | None = None) -> Any:
        """Call the tool and report the call to the run's handler; or return the result from an earlier run of the turn.

        Args:
            arguments: the validated arguments by name.
            call_id: see `EngineJournal.key`; by default random.

        Raises:
            ToolError: if the call failed or was denied. The message is for the model.
        """
        spec, key = self.spec, run.journal.key(call_id or token_hex(8))
        call = ToolStarted(key, self.name, arguments, spec.private, spec.provider, spec.read_only, spec.label)

        async def make() -> Any:
            if spec.needs_approval and not run.journal.is_approved(key, self.name, as_json := storable_json(arguments)):
                async with watched(run.handler, replace(call, read_only=True)):  # asking changes nothing
                    await self._ask(run, key, arguments, as_json)
            async with watched(run.handler, call) as watch:
                watch.result = _storable(await self._call(run, arguments, key))
            return watch.result

        return await run.journal.call(key, self.name, arguments, run.handler, make, read_only=spec.read_only)

    async def _ask(self, run: EngineRun, key: str, arguments: Mapping[str, Any], as_json: str) -> NoReturn:
        """Ask the turn's person to approve a call. It always raises, which ends the call or the run.

        Raises:
            ApprovalRequiredError: if the person has not decided yet.
            ToolError: if the person denied the call or cannot be asked. The message is for the model.
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
        """Validate the arguments, call the tool, and return the result as text, for frameworks that do not do so.

        Args:
            arguments: the arguments by name, or as a JSON object.
            call_id: as for `call`.

        Raises:
            ToolError: as for `call`, and if the arguments do not fit the schema.
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
    "properties": {
        "task": {"type": "string", "description": "The task, with everything that the agent needs to know."}
    },
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
        # Read-only, as the call can be repeated: the member resumes its recorded run and repeats no writing calls.
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
    """Return the context object for the tools of a native agent: the `TurnContext`, or what `make_context` returns."""
    return context if agent.make_context is None else agent.make_context(context)


def own_tools(template: RunnableAgent) -> Sequence[AgentTool]:
    """Return the tools of an agent's toolkits and members, which are the same in every run."""
    functions = [FunctionTool(function) for _, function in template.catalog.values()]
    return [*functions, *(MemberTool(index, member) for index, member in enumerate(template.members))]


def _storable(result: Any) -> Any:
    """Return a tool's result without characters that cannot be stored or sent to a model."""
    if isinstance(result, str):
        return storable(result)
    if isinstance(result, (dict, list, tuple)):
        try:
            to_json(result, fallback=str)
        except (PydanticSerializationError, UnicodeEncodeError):
            return storable_value(result)
    return result
