import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from gateway.config import ModelSettings
from oauth import SettingError
from toolkits import Function, Toolkit
from toolkits.clone import check_nothing_shared, clone_attributes

_CLONED = ("toolkits", "members")


class Agent:
    """An agent: a model, instructions and toolkits. The one you make is a template: it never runs.

    Every message is played by a deep copy of it, in which the toolkits are cloned.

    Args:
        model: whatever pydantic-ai takes: a model object, or a provider and a model like "openai:gpt-5.2"
            (https://ai.pydantic.dev/models/overview/). Else UNDERSTUDY_MODEL.
        toolkits: what its tools are methods of.
        instructions: what the model is told before every message.
        name: what it is called: by its team, and in its greeting.
        description: what it is for, in a sentence: its team's lead is told so.
        members: agents that this one may ask, each with toolkits of its own.

    Raises:
        SettingError: if no model is given and UNDERSTUDY_MODEL is not set.
    """

    _clone_shared_attrs: ClassVar[Collection[str]] = ("model", "instructions", "name", "description")

    def __init__(
        self,
        *,
        model: Any = None,
        toolkits: Sequence[Toolkit] = (),
        instructions: str = "",
        name: str = "assistant",
        description: str = "",
        members: Sequence["Agent"] = (),
    ) -> None:
        self.model = ModelSettings().model if model is None else model
        self.toolkits = toolkits if isinstance(toolkits, list) else list(toolkits)
        self.instructions = instructions
        self.name = name
        self.description = description
        self.members = list(members)

    def deep_copy(self) -> Self:
        """A copy that serves one turn: toolkits cloned, members copied likewise, the model shared.

        Raises:
            CloneError: naming a toolkit and the attribute of it that cannot be cloned.
        """
        target = object.__new__(type(self))
        clone_attributes(self, target, reset={}, shared=self._clone_shared_attrs, skip=_CLONED)
        target.toolkits = [toolkit.clone() for toolkit in self.toolkits]
        target.members = [member.deep_copy() for member in self.members]
        return target

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.deep_copy()

    @property
    def functions(self) -> Mapping[str, Function]:
        """The tools of its own toolkits by name, bound to them."""
        return {name: function for toolkit in self.toolkits for name, function in toolkit.functions.items()}

    @property
    def tool_name(self) -> str:
        """What the lead of a team calls to ask this agent."""
        return f"ask_{re.sub(r'[^a-zA-Z0-9]+', '_', self.name).strip('_').lower()}"

    def team(self) -> Iterator["Agent"]:
        """This agent, its members and theirs."""
        yield self
        for member in self.members:
            yield from member.team()

    def check(self) -> None:
        """Proves, at start-up, that a copy shares nothing of any person with this template.

        Raises:
            CloneError: naming the toolkit and the attribute that stands against it.
            SettingError: if two tools of an agent have one name.
        """
        for agent in self.team():
            for toolkit in agent.toolkits:
                toolkit.check_clone()
            agent._check_names()
        check_nothing_shared(self, self.deep_copy(), self._clone_shared_attrs, skip=_CLONED)

    def _check_names(self) -> None:
        owned = [(name, toolkit.name) for toolkit in self.toolkits for name in toolkit.functions]
        owned += [(member.tool_name, f"its member {member.name!r}") for member in self.members]
        owners: dict[str, str] = {}
        for name, owner in owned:
            if name in owners:
                raise SettingError(
                    f"Agent {self.name!r} has two tools called {name!r}, of {owners[name]} and {owner}: "
                    "give one of them another name, a tool with @tool(name=…), a member with Agent(name=…)."
                )
            owners[name] = owner
