"""What the tools of an agent are to an engine: the same for every engine."""

import json
from abc import ABC, abstractmethod
from asyncio import CancelledError
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, SchemaValidator, core_schema, to_json

from gateway.cancellation import exits_contained
from gateway.executor import tool_threads
from gateway.runs.calls import NO_CALL, calling, in_call
from gateway.runs.engine import RunnableAgent, load_engine
from gateway.runs.events import EventHandler, ToolEnded, ToolOutcome, ToolStarted
from gateway.runs.journal import NO_JOURNAL, ApprovalRequiredError, EngineJournal
from oauth import ConsentRequiredError, OAuthProvider, SettingError
from oauth.visible import visible
from toolkits import Function, ToolError, TurnContext, preview
from toolkits.mcp import MCPTool
from toolkits.text import storable, storable_json, storable_value

ASKS_FIRST = "The user is asked to approve it when you call it, so do not ask them yourself."
DENIED = "The user said no, so it was not done. Do not try it again unless they ask for it."
MOST_SHOWN = 20_000  # characters of what a person is asked to agree to, who is to read them
TOO_LONG_TO_ASK = f"This is too long for the user to read and agree to: at most {MOST_SHOWN} characters."
NOBODY_TO_ASK = "This needs the yes of the user, and nobody can be asked here, so it was not done."


@dataclass(frozen=True, slots=True)
class Run:
    """What the tools of one run are given: the copy whose tools they are, and the turn."""

    agent: RunnableAgent
    context: TurnContext
    handler: EventHandler
    journal: EngineJournal = NO_JOURNAL


class DeniedError(ToolError):
    """The person did not agree to a call."""


class Watch:
    """A tool call that is being watched: what it returned, once it has."""

    result: Any = None


@asynccontextmanager
async def watched(
    handler: EventHandler,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    private: bool = False,
    provider: str | None = None,
    read_only: bool = False,
    key: str | None = None,
) -> AsyncIterator[Watch]:
    """Tells a handler that a tool is called, and how that ends. See `ToolStarted`.

    Args:
        key: what the call is known by in the turn, where it is known by something.
    """
    call_id, outcome, error, watch = key or token_hex(8), ToolOutcome.ERROR, None, Watch()
    await tell_started(handler, ToolStarted(call_id, tool, arguments, private, provider, read_only))
    try:
        with exits_contained(tool), tool_threads(), in_call(call_id):
            yield watch
        outcome = ToolOutcome.OK
    except ConsentRequiredError:
        outcome = ToolOutcome.SIGN_IN
        raise
    except ApprovalRequiredError:
        outcome = ToolOutcome.ASKED
        raise
    except CancelledError:
        outcome = ToolOutcome.CANCELLED
        raise
    except ToolError as told:
        outcome = ToolOutcome.DENIED if isinstance(told, DeniedError) else outcome
        error = str(told)
        raise
    finally:
        await handler(ToolEnded(call_id, tool, outcome, watch.result, error))


async def tell_started(handler: EventHandler, started: ToolStarted) -> None:
    """Tell a handler that a tool is called; and if the turn ends meanwhile, that the call has not begun."""
    try:
        await handler(started)
    except CancelledError:
        await handler(ToolEnded(started.call_id, started.tool, ToolOutcome.NOT_BEGUN))
        raise


class AgentTool(ABC):
    """A tool of an agent. It is the same for everybody; whose copy it acts on is told by the run.

    Args:
        parameters: JSON Schema of the arguments.
        validator: of the arguments, as a mapping or as JSON.
        private: whether what it returns is for the sender alone.
        provider: whose account it acts with, where that is known beforehand.
        read_only: whether it changes nothing, so that it may be called again.
        needs_approval: whether the person whose turn it is has to say yes before it is done.
    """

    def __init__(
        self,
        name: str,
        description: str,
        parameters: dict[str, Any],
        validator: SchemaValidator,
        *,
        private: bool = False,
        provider: str | None = None,
        read_only: bool = False,
        needs_approval: bool = False,
    ) -> None:
        self.name = name
        self.description = f"{description}\n\n{ASKS_FIRST}".strip() if needs_approval else description
        self.parameters = parameters
        self.validator = validator
        self.private = private
        self.provider = provider
        self.read_only = read_only
        self.needs_approval = needs_approval

    @abstractmethod
    async def _call(self, run: Run, arguments: Mapping[str, Any], key: str) -> Any: ...

    async def _preview(self, run: Run, arguments: Mapping[str, Any]) -> str:
        return preview.call(self.name, arguments)

    async def call(self, run: Run, arguments: Mapping[str, Any], call_id: str | None = None) -> Any:
        """Calls it on the run's own copy, and tells the run's handler; unless an earlier run of the turn has.

        Args:
            arguments: by name, validated.
            call_id: of the model, the same in each run of the turn.

        Raises:
            ToolError: if it could not do what it was asked; the message is for the model.
        """
        key = run.journal.key(call_id or token_hex(8))

        watching = partial(
            watched, run.handler, self.name, arguments, private=self.private, provider=self.provider, key=key
        )

        async def make() -> Any:
            if self.needs_approval and not run.journal.is_approved(key, self.name, as_json := _json(arguments)):
                async with watching(read_only=True):  # nothing is done here
                    await self._ask(run, key, arguments, as_json)
            async with watching(read_only=self.read_only) as watch:
                watch.result = _storable(await self._call(run, arguments, key))
            return watch.result

        with run.journal.running(key):
            return await run.journal.call(key, self.name, arguments, run.handler, make, read_only=self.read_only)

    async def _ask(self, run: Run, key: str, arguments: Mapping[str, Any], as_json: str) -> NoReturn:
        """Asks the person of the turn, or says what they answered.

        Raises:
            ApprovalRequiredError: if they have not been asked.
            ToolError: if they did not agree, or cannot be asked.
        """
        if run.journal.is_approved(key, self.name, as_json) is False:
            raise DeniedError(DENIED)
        if not run.journal.is_kept or run.context.message.anonymous:
            raise ToolError(NOBODY_TO_ASK)
        action = visible(await self._preview(run, arguments))
        if len(action) > MOST_SHOWN:
            raise ToolError(TOO_LONG_TO_ASK)
        await run.journal.ask(key, self.name, as_json, action)

    async def call_for_text(self, run: Run, arguments: Mapping[str, Any] | str, call_id: str | None = None) -> str:
        """As `call`, for engines that leave it to the tool to validate and to put a result into words.

        Args:
            arguments: by name, or as a JSON object.
            call_id: as `call`.

        Raises:
            ToolError: also if the arguments do not fit.
        """
        try:
            if isinstance(arguments, str):
                validated = self.validator.validate_json(arguments or "{}")
            else:
                validated = self.validator.validate_python(arguments)
        except ValidationError as error:
            reasons = json.dumps(error.errors(include_url=False, include_context=False, include_input=False))
            raise ToolError(f"The arguments of {self.name} do not fit: {reasons}") from error
        result = await self.call(run, validated, call_id)
        return result if isinstance(result, str) else _json(result)


class FunctionTool(AgentTool):
    """A tool of one of the agent's toolkits."""

    def __init__(self, function: Function) -> None:
        auth = function.toolkit.auth
        super().__init__(
            function.name,
            function.description,
            function.parameters,
            function.definition.schema.function_schema.validator,
            private=function.toolkit.private,
            provider=auth.name if isinstance(auth, OAuthProvider) else None,
            read_only=function.definition.read_only,
            needs_approval=function.needs_approval,
        )

    async def _call(self, run: Run, arguments: Mapping[str, Any], key: str) -> Any:
        return await run.agent.function(self.name).call(arguments, run.context)

    async def _preview(self, run: Run, arguments: Mapping[str, Any]) -> str:
        return await run.agent.function(self.name).preview(arguments, run.context)


class MemberTool(AgentTool):
    """A member of a team, as a tool that asks the one of the run's own copy."""

    def __init__(self, place: int, member: RunnableAgent) -> None:
        # CredentialUse again, a member goes on where it was: what it changes is in the journal of its own run.
        super().__init__(member.tool_name, member.description, _TASK_SCHEMA, _TASK_VALIDATOR, read_only=True)
        self._place = place

    async def _call(self, run: Run, arguments: Mapping[str, Any], key: str) -> str:
        member = run.agent.members[self._place]
        engine = load_engine(member.engine)
        task, journal = arguments["task"], run.journal.within(key)
        answer = await engine.run(member, task, run.context, [], run.handler, stream=False, journal=journal)
        return answer.text


_TASK_SCHEMA = {
    "type": "object",
    "properties": {"task": {"type": "string", "description": "What it is asked, with all that it needs to know."}},
    "required": ["task"],
    "additionalProperties": False,
}
_TASK_VALIDATOR = SchemaValidator(
    core_schema.typed_dict_schema({"task": core_schema.typed_dict_field(core_schema.str_schema())})
)


class RemoteTool(AgentTool):
    """A tool of an MCP server, called for the sender of the turn's message."""

    def __init__(self, tool: MCPTool) -> None:
        auth = tool.server.auth
        super().__init__(
            tool.name,
            tool.description,
            tool.parameters,
            _ANY_ARGUMENTS,
            private=tool.server.private,
            provider=auth.name if auth is not None else None,
            read_only=tool.read_only,
            needs_approval=tool.server.approval and not tool.read_only,
        )
        self._tool = tool

    async def _call(self, run: Run, arguments: Mapping[str, Any], key: str) -> str:
        return await self._tool.call(arguments, run.context)


_ANY_ARGUMENTS = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))


async def remote_tools(agent: RunnableAgent, context: TurnContext) -> Sequence[AgentTool]:
    """The tools of an agent's MCP servers, which may be other ones for each person.

    Raises:
        SettingError: if two tools have one name.
    """
    with in_call(calling.get() or NO_CALL):  # it is not for one of the calls that other agents may make meanwhile
        found = [tool for server in agent.mcp_servers for tool in await server.tools(context)]
    _check_names(agent.template, found)
    return [RemoteTool(tool) for tool in found]


def check_remote_names(agent: RunnableAgent) -> None:
    """Proves, when its MCP servers are started, that no two tools of an agent have one name.

    Raises:
        SettingError: naming the tool and the server.
    """
    _check_names(agent, [tool for server in agent.mcp_servers for tool in server.shared_tools])


def _check_names(template: RunnableAgent, remote: Sequence[MCPTool]) -> None:
    taken = {*template.catalog, *(member.tool_name for member in template.members)}
    for tool in remote:
        if tool.name in taken:
            raise SettingError(
                f"Agent {template.name!r} has two tools called {tool.name!r}, one of them of the MCP server "
                f"{tool.server.name!r}: put that server into a member of its own, Agent(members=[…])."
            )
        taken.add(tool.name)


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


def _json(value: Any) -> str:
    return storable_json(value)


def own_tools(template: RunnableAgent) -> Sequence[AgentTool]:
    """The tools of an agent's toolkits and its members, the same in every run."""
    functions = [FunctionTool(function) for _, function in template.catalog.values()]
    return [*functions, *(MemberTool(place, member) for place, member in enumerate(template.members))]
