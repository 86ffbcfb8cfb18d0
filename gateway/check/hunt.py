"""Play turns of an agent for several synthetic people at once, and look for data of one that reaches another."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway.agents.agent import Agent
from gateway.check.arguments import SAMPLE, make_arguments
from gateway.check.findings import Findings, states_of
from gateway.check.heap import threads_at_rest
from gateway.check.marks import Kind, Marks
from gateway.check.offline import offline
from gateway.check.output import Output
from gateway.check.people import ROLES, CanarySource, InterruptedTurnError, Manner, Person, cast, context_of
from gateway.check.report import Report
from gateway.check.scene import SEVERAL, ObservedTurn, Scene
from gateway.check.scripted import Script, ToolInfo, scripted
from gateway.runs.engine import load_engine
from gateway.runs.events import ToolEnded, TurnEvent
from oauth import ConsentRequiredError, OAuthProvider
from toolkits import Toolkit

SEED = 2026
TURN_LIMIT = 2.0  # seconds
CANCELLED_AFTER = 3  # rounds of the event loop


async def hunt(agent: Agent) -> Report:
    """Look for leaks in an agent, its members and their members.

    Every tool is called many times, with made-up arguments and made-up credentials. No model is asked and no other
    machine is reached.

    Raises:
        CloneError: if a toolkit cannot be cloned; no tool is called then.
    """
    agent.check()
    return await _Hunt(agent).run()


class _Hunt:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._marks = Marks()
        self._random = random.Random(SEED)  # noqa: S311 - a report has to be the same each time
        self._user_ids = {role.user: self._marks.make(Kind.IDENTITY, role.user, 0) for role in ROLES}
        self._report = Report(people=len(ROLES))
        self._scenes: list[Scene] = []
        self._people: dict[int, list[Person]] = {}
        self._findings = Findings(self._report, self._marks, self._scenes, self._people)
        self._slow: set[str] = set()
        self._failed: dict[str, str] = {}
        self._worked: set[str] = set()
        self._unplayable: list[Agent] = []
        self._output = Output()
        team = list(agent.team())
        self._toolkits: list[Toolkit] = [toolkit for each in team for toolkit in each.toolkits]
        owners: list[Any] = [*team, *self._toolkits]
        providers = [owner.auth for owner in owners if isinstance(owner.auth, OAuthProvider)]
        self._providers: Mapping[str, OAuthProvider] = {provider.name: provider for provider in providers}

    async def run(self) -> Report:
        before = states_of(self._toolkits)
        with offline():
            with self._output.collecting():
                for agent in self._agent.team():
                    for owner, tools in await self._tools_of(agent):
                        for scene in self._scenes_of(agent, owner, tools):
                            await self._play(scene)
            await threads_at_rest(TURN_LIMIT)
            self._findings.check_templates(self._toolkits, before)
            self._findings.check_output(self._output)
            self._output.clear()
            own = [self, self.__dict__, self._findings, self._output, self._user_ids]
            await self._findings.check_memory(self._agent, self._toolkits, own)
        self._note_what_is_missing()
        return self._report

    async def _tools_of(self, agent: Agent) -> list[tuple[str, list[ToolInfo]]]:
        """Return an agent's tools by owner: its toolkits and, if it is written for a framework, the agent itself."""
        owners = [
            (type(toolkit).__name__, [ToolInfo(name, tool.parameters) for name, tool in toolkit.functions.items()])
            for toolkit in agent.toolkits
        ]
        self._report.toolkits += len(owners)
        if agent.native is not None:
            script = Script()
            outcome = ObservedTurn(cast(self._marks, 0, self._user_ids)[0])
            await self._run(agent, script, CanarySource(outcome.person, self._providers, Manner()), outcome)
            owners.append((agent.name, [tool for tool in script.offered if tool.name not in agent.catalog]))
            if outcome.error is not None:
                self._unplayable.append(agent)
        self._report.tools += sum(len(tools) for _, tools in owners)
        return owners

    def _scenes_of(self, agent: Agent, owner: str, tools: list[ToolInfo]) -> Iterator[Scene]:
        """Make a scene for each tool, and one for all of them at once."""
        for group in [*([tool] for tool in tools), *([tools] if len(tools) > 1 else [])]:
            scene = Scene(len(self._scenes) + 1, agent, owner, group)
            self._scenes.append(scene)
            self._people[scene.number] = cast(self._marks, scene.number, self._user_ids)
            yield scene

    async def _play(self, scene: Scene) -> None:
        people, chance = self._people[scene.number], self._random
        for marked in (True, False):  # marked first: a tool may keep only the first text that it gets
            await self._together(scene, people, self._in_step(len(people)), marked=marked)
            for person in (*people, people[0]):
                await self._turn(scene, person, Manner.of(chance), marked=marked)
        await self._together(
            scene, people, lambda person: Manner.of(chance, consent=person.number % 2 == 1), marked=True
        )
        for person in people[1::2]:  # the turns that waited for a sign-in run again
            await self._turn(scene, person, Manner.of(chance), marked=True)
        await self._together(scene, people, lambda person: Manner.of(chance, fails=person.number % 2 == 0), marked=True)
        await self._together(scene, people, lambda _: Manner.of(chance), marked=True, cancel=people[::2])
        for person in reversed(people):
            await self._turn(scene, person, Manner.of(chance), marked=True)

    def _in_step(self, count: int) -> Callable[[Person], Manner]:
        """Make all turns that ask for a credential wait for each other."""
        barrier = asyncio.Barrier(count)
        return lambda _: Manner.of(self._random, barrier=barrier)

    async def _together(
        self,
        scene: Scene,
        people: Sequence[Person],
        manner: Callable[[Person], Manner],
        *,
        marked: bool,
        cancel: Sequence[Person] = (),
    ) -> None:
        turns = [
            asyncio.create_task(self._turn(scene, person, manner(person), marked=marked, cancel=person in cancel))
            for person in people
        ]
        await asyncio.gather(*turns)

    async def _turn(self, scene: Scene, person: Person, manner: Manner, *, marked: bool, cancel: bool = False) -> None:
        arguments = {
            tool.name: make_arguments(tool.parameters, person.data if marked else SAMPLE)
            for tool in scene.tools
            if tool.name not in self._slow
        }
        if not arguments:
            return
        self._report.turns += 1
        outcome = ObservedTurn(person)
        source = CanarySource(person, self._providers, manner)
        turn = asyncio.create_task(self._run(scene.agent, Script(arguments), source, outcome))
        if cancel:
            for _ in range(CANCELLED_AFTER):
                await asyncio.sleep(0)
            turn.cancel()
        _, late = await asyncio.wait([turn], timeout=TURN_LIMIT)
        source.end()
        if late:
            turn.cancel()
            await asyncio.wait([turn], timeout=TURN_LIMIT)
            self._slow |= set(arguments)
        elif not turn.cancelled() and not manner.fails and not manner.consent:
            self._note(scene, outcome)
        self._findings.check_turn(scene, outcome)

    async def _run(self, agent: Agent, script: Script, source: CanarySource, outcome: ObservedTurn) -> None:
        async def listen(event: TurnEvent) -> None:
            if isinstance(event, ToolEnded):
                outcome.given.append(event.result)

        person, copy = outcome.person, agent.deep_copy()
        text = f"Please do it: {person.data}"
        try:
            with scripted(copy, script):
                answer = await load_engine(copy.engine).run(
                    copy, text, context_of(person, text, source), [], listen, stream=False
                )
            outcome.given.append(answer.text)
        except Exception as error:  # noqa: BLE001 - any error of a tool is searched
            outcome.error = error
        finally:
            outcome.given += script.given
            outcome.retried = script.retried

    def _note(self, scene: Scene, outcome: ObservedTurn) -> None:
        name = scene.tool
        if outcome.error is None and not outcome.retried:
            self._worked.add(name)
        elif outcome.retried:
            self._failed.setdefault(name, "the made-up arguments did not fit")
        elif not isinstance(outcome.error, (ConsentRequiredError, InterruptedTurnError)):
            self._failed.setdefault(name, f"it raised {type(outcome.error).__name__}")

    def _note_what_is_missing(self) -> None:
        missing = self._report.not_covered
        missing += [
            f"{name} did not end within {TURN_LIMIT:.0f} seconds and was not called again"
            for name in sorted(self._slow)
        ]
        missing += [
            f"{name} past the point where {reason}"
            for name, reason in sorted(self._failed.items())
            if name not in self._worked and name not in self._slow and name != SEVERAL
        ]
        for agent in self._agent.team():
            if agent in self._unplayable:
                missing.append(f"{agent.name}, which is written for {agent.engine}: its own tools could not be called")
            elif agent.native is not None:
                missing.append(
                    f"{agent.name}, which is written for {agent.engine}: the code around its own tools, such as "
                    "the nodes of a graph, the agents that it hands over to, and stores"
                )
            missing += [
                f"{server.name}: whether this MCP server keeps the data of the people who share it apart"
                for server in agent.mcp_servers
            ]
        missing.append("what tools do on other machines: the network was blocked")
        missing.append("what shared servers, databases and files store: key it by the whole identity")
