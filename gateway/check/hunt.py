"""Plays an agent for many synthetic people at once and looks for anything of one that gets to another."""

import asyncio
import contextlib
import gc
import io
import json
import logging
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from gateway.agents.agent import Agent
from gateway.check.arguments import SAMPLE, make_arguments
from gateway.check.heap import Heap, Survivor, lasting_roots, thread_values, threads_at_rest
from gateway.check.marks import Kind, Mark, Marks, find_marks, marks_in_text
from gateway.check.offline import offline
from gateway.check.owners import Owners
from gateway.check.people import ROLES, CanarySource, InterruptedTurnError, Manner, Person, cast, context_of
from gateway.check.report import Leak, LeakKind, Report
from gateway.check.scripted import Script, ToolInfo, scripted
from gateway.logs import QUIET_LIBRARIES
from gateway.runs.engine import load_engine
from gateway.runs.events import ToolEnded, TurnEvent
from oauth import ConsentRequiredError, OAuthProvider
from toolkits import Toolkit
from toolkits.cloning import INTERNAL

SEED = 2026
TURN_LIMIT = 2.0  # seconds
CANCELLED_AFTER = 3  # times that the loop goes round
SEVERAL = "(several tools at once)"


@dataclass(frozen=True, slots=True)
class Scene:
    """What is called in a set of rounds: one tool, or all of a toolkit."""

    number: int
    agent: Agent
    owner: str
    tools: Sequence[ToolInfo]

    @property
    def tool(self) -> str:
        return self.tools[0].name if len(self.tools) == 1 else SEVERAL


@dataclass
class RunOutcome:
    """What came of a turn: all that its person, its model and its handler were given."""

    person: Person
    given: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    retried: bool = False


async def hunt(agent: Agent) -> Report:
    """Hunts for leaks in an agent, its members and theirs.

    Every tool is called, many times, with made-up arguments and made-up credentials; no model is asked and no other
    machine is reached.

    Raises:
        CloneError: if a toolkit cannot be cloned: what would leak is not even started.
    """
    agent.check()
    return await _Hunt(agent).run()


class _Hunt:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._marks = Marks()
        self._chance = random.Random(SEED)  # noqa: S311 - a report has to be the same each time
        self._user_ids = {role.user: self._marks.make(Kind.IDENTITY, role.user, 0) for role in ROLES}
        self._report = Report(people=len(ROLES))
        self._scenes: list[Scene] = []
        self._people: dict[int, list[Person]] = {}
        self._slow: set[str] = set()
        self._failed: dict[str, str] = {}
        self._worked: set[str] = set()
        self._unplayable: list[Agent] = []
        self._log = _Log()
        self._printed = io.StringIO()
        team: list[Any] = list(agent.team())
        toolkits: list[Any] = [toolkit for each in team for toolkit in each.toolkits]
        providers = [owner.auth for owner in [*team, *toolkits] if isinstance(owner.auth, OAuthProvider)]
        self._providers: Mapping[str, OAuthProvider] = {provider.name: provider for provider in providers}

    async def run(self) -> Report:
        before = {id(toolkit): _state(toolkit) for each in self._agent.team() for toolkit in each.toolkits}
        printed = self._printed
        with offline():
            with (
                self._log.listening(),
                self._log.listening_to_warnings(),
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
            ):
                for agent in self._agent.team():
                    for owner, tools in await self._tools_of(agent):
                        for scene in self._scenes_of(agent, owner, tools):
                            await self._play(scene)
            await threads_at_rest(TURN_LIMIT)
            self._look_at_templates(before)
            self._look_at_output()
            await self._look_at_memory()
        self._tell_what_is_missing()
        return self._report

    async def _tools_of(self, agent: Agent) -> list[tuple[str, list[ToolInfo]]]:
        """The tools of an agent by their owner: its toolkits, and itself where it is written for a framework."""
        owners = [
            (type(toolkit).__name__, [ToolInfo(name, tool.parameters) for name, tool in toolkit.functions.items()])
            for toolkit in agent.toolkits
        ]
        self._report.toolkits += len(owners)
        if agent.native is not None:
            script = Script()
            played = RunOutcome(cast(self._marks, 0, self._user_ids)[0])
            await self._run(agent, script, CanarySource(played.person, self._providers, Manner()), played)
            owners.append((agent.name, [tool for tool in script.offered if tool.name not in agent.catalog]))
            if played.error is not None:
                self._unplayable.append(agent)
        self._report.tools += sum(len(tools) for _, tools in owners)
        return owners

    def _scenes_of(self, agent: Agent, owner: str, tools: list[ToolInfo]) -> Iterator[Scene]:
        """One for each tool, and one for all of them at once."""
        for group in [*([tool] for tool in tools), *([tools] if len(tools) > 1 else [])]:
            scene = Scene(len(self._scenes) + 1, agent, owner, group)
            self._scenes.append(scene)
            self._people[scene.number] = cast(self._marks, scene.number, self._user_ids)
            yield scene

    async def _play(self, scene: Scene) -> None:
        people, chance = self._people[scene.number], self._chance
        for marked in (True, False):  # marked first: what keeps the first one's is else filled with what is nobody's
            await self._together(scene, people, self._in_step(len(people)), marked=marked)
            for person in (*people, people[0]):
                await self._turn(scene, person, Manner.of(chance), marked=marked)
        await self._together(
            scene, people, lambda person: Manner.of(chance, consent=person.number % 2 == 1), marked=True
        )
        for person in people[1::2]:  # the messages that waited for a sign-in are played again
            await self._turn(scene, person, Manner.of(chance), marked=True)
        await self._together(scene, people, lambda person: Manner.of(chance, fails=person.number % 2 == 0), marked=True)
        await self._together(scene, people, lambda _: Manner.of(chance), marked=True, cancel=people[::2])
        for person in reversed(people):
            await self._turn(scene, person, Manner.of(chance), marked=True)

    def _in_step(self, count: int) -> Callable[[Person], Manner]:
        """Those who ask for a credential wait for each other."""
        barrier = asyncio.Barrier(count)
        return lambda _: Manner.of(self._chance, barrier=barrier)

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
        played = RunOutcome(person)
        source = CanarySource(person, self._providers, manner)
        turn = asyncio.create_task(self._run(scene.agent, Script(arguments), source, played))
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
            self._note(scene, played)
        self._look_at(scene, played)

    async def _run(self, agent: Agent, script: Script, source: CanarySource, played: RunOutcome) -> None:
        async def listen(event: TurnEvent) -> None:
            if isinstance(event, ToolEnded):
                played.given.append(event.result)

        person, copy = played.person, agent.deep_copy()
        text = f"Please do it: {person.data}"
        try:
            with scripted(copy, script):
                answer = await load_engine(copy.engine).run(
                    copy, text, context_of(person, text, source), [], listen, stream=False
                )
            played.given.append(answer.text)
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is looked at
            played.error = error
        finally:
            played.given += script.given
            played.retried = script.retried

    def _note(self, scene: Scene, played: RunOutcome) -> None:
        name = scene.tool
        if played.error is None and not played.retried:
            self._worked.add(name)
        elif played.retried:
            self._failed.setdefault(name, "the arguments that were made up did not fit")
        elif not isinstance(played.error, (ConsentRequiredError, InterruptedTurnError)):
            self._failed.setdefault(name, f"it raised {type(played.error).__name__}")

    def _look_at(self, scene: Scene, played: RunOutcome) -> None:
        for mark in find_marks(*played.given, played.error):
            if mark in self._marks and not self._is_of(mark, played.person):
                what = {Kind.CREDENTIAL: "the credential", Kind.DATA: "what was written", Kind.IDENTITY: "the user id"}
                where = "error" if mark in find_marks(played.error) else "result"
                self._report.add(
                    Leak(
                        LeakKind.TURN,
                        scene.owner,
                        scene.tool,
                        f"the {where} of {scene.tool}",
                        f"{what[mark.kind]} of person {mark.person} came out in the turn of person "
                        f"{played.person.number}{self._from(mark, scene)}.",
                    )
                )

    def _from(self, mark: Mark, scene: Scene) -> str:
        if mark.kind is Kind.IDENTITY or mark.scene == scene.number:
            return ""
        return f", from an earlier call of {self._scenes[mark.scene - 1].tool}"

    def _is_of(self, mark: Mark, person: Person) -> bool:
        if mark.kind is Kind.IDENTITY:
            return mark.person == person.role.user
        return mark.person == person.number

    def _look_at_templates(self, before: Mapping[int, Mapping[str, str]]) -> None:
        for agent in self._agent.team():
            for toolkit in agent.toolkits:
                now = _state(toolkit)
                for name in sorted({*now, *before[id(toolkit)]}):
                    if now.get(name) != before[id(toolkit)].get(name):
                        owner = type(toolkit).__name__
                        detail = f"{name} of the template is not what it was before the first turn."
                        self._report.add(Leak(LeakKind.TEMPLATE, owner, "", f"{owner}.{name}", detail))

    def _look_at_output(self) -> None:
        for where, text in self._log.lines:
            for mark in marks_in_text(text):
                if mark.kind is not Kind.IDENTITY:
                    self._tell(LeakKind.LOG, mark, where)
        for mark in marks_in_text(self._printed.getvalue()):
            if mark.kind is not Kind.IDENTITY:
                self._tell(LeakKind.OUTPUT, mark, "standard output")

    async def _look_at_memory(self) -> None:
        self._log.lines.clear()
        self._printed.truncate(0)
        gc.collect()
        toolkits = [toolkit for each in self._agent.team() for toolkit in each.toolkits]
        classes = dict.fromkeys(cls for toolkit in toolkits for cls in type(toolkit).__mro__ if cls is not object)
        templates: dict[str, Any] = {cls.__name__: cls for cls in classes}
        templates |= {f"the template of {type(toolkit).__name__}": toolkit for toolkit in toolkits}
        templates["the agent"] = self._agent
        hidden = [self, self.__dict__, self._people, self._scenes, self._marks, self._report, self._log, self._user_ids]
        hidden += [person for people in self._people.values() for person in people]
        hidden += self._people.values()
        heap = Heap(lasting_roots(templates, [cls.__module__ for cls in classes]), hidden)
        survivors = [each for each in heap.survivors() if each.mark in self._marks]
        owners = Owners(survivors, self._people)
        for survivor in survivors:
            self._judge(survivor, owners)
        for path, value in await thread_values(heap):
            for mark in find_marks(value):
                if mark.kind is not Kind.IDENTITY:
                    self._tell(LeakKind.CREDENTIAL if mark.kind is Kind.CREDENTIAL else LeakKind.DATA, mark, path)

    def _judge(self, survivor: Survivor, owners: Owners) -> None:
        mark = survivor.mark
        if mark.kind is Kind.IDENTITY:
            return
        if mark.kind is Kind.CREDENTIAL:
            self._tell(LeakKind.CREDENTIAL, mark, survivor.path)
            return
        if survivor.is_key or any(mark.text in key for key in survivor.keys):
            return  # a memo: who looks it up has to know it already
        how = owners.how_kept(survivor)
        if how is None:
            self._tell(LeakKind.DATA, mark, survivor.path)
            return
        note = f"{_without_marks(survivor.path)} keeps data of each person, {how}."
        if note not in self._report.notes:
            self._report.notes.append(note)

    def _tell(self, kind: LeakKind, mark: Mark, path: str) -> None:
        if mark not in self._marks:
            return
        scene = self._scenes[mark.scene - 1]
        what = "the credential" if mark.kind is Kind.CREDENTIAL else "what was written"
        detail = f"{what} of person {mark.person} was found after the turn."
        if kind in (LeakKind.LOG, LeakKind.OUTPUT):
            detail = f"{what} of person {mark.person} stands in it."
        self._report.add(Leak(kind, scene.owner, scene.tool, _without_marks(path), detail))

    def _tell_what_is_missing(self) -> None:
        missing = self._report.not_covered
        missing += [
            f"{name} did not end within {TURN_LIMIT:.0f} seconds and was left out after that"
            for name in sorted(self._slow)
        ]
        missing += [
            f"{name} only until {reason}"
            for name, reason in sorted(self._failed.items())
            if name not in self._worked and name not in self._slow and name != SEVERAL
        ]
        for agent in self._agent.team():
            if agent in self._unplayable:
                missing.append(f"{agent.name}, which is written for {agent.engine}: its own tools could not be played")
            elif agent.native is not None:
                missing.append(
                    f"{agent.name}, which is written for {agent.engine}: what is around its own tools, like nodes of "
                    "a graph, agents that it hands over to, and stores"
                )
            missing += [
                f"{server.name}: what an MCP server keeps of those who share it, and whether it keeps them apart"
                for server in agent.mcp_servers
            ]
        missing.append("what a tool does on other machines: the network was not reached")
        missing.append("what a shared server, database or file keeps: key it by the whole identity")


class _Log(logging.Handler):
    """Collects what is logged, as it would stand in the log of a served gateway."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[tuple[str, str]] = []
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in {*QUIET_LIBRARIES, "asyncio"} and record.levelno < logging.WARNING:
            return
        where = f"logger {record.name!r} at {record.filename}:{record.lineno}"
        self.lines.append((where, self._formatter.format(record)))

    def warned(self, message: Warning | str, category: Any, filename: str, lineno: int, *_: Any, **__: Any) -> None:
        self.lines.append((f"a warning at {PurePath(filename).name}:{lineno}", str(message)))

    @contextlib.contextmanager
    def listening_to_warnings(self) -> Iterator[None]:
        """Collects warnings, also those that are not shown by default: an operator may have them shown."""
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = self.warned
            yield

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(self)


def _state(toolkit: Toolkit) -> dict[str, str]:
    """What a template's own attributes are; not those that it shares on purpose."""
    left_out = {*toolkit._clone_shared_attrs, *INTERNAL}
    return {
        name: json.dumps(value, default=lambda other: f"{type(other)} {id(other)}", sort_keys=True, skipkeys=True)
        if isinstance(value, (dict, list, str, int, float, bool, type(None)))
        else f"{type(value)} {id(value)}"
        for name, value in vars(toolkit).items()
        if name not in left_out
    }


def _without_marks(path: str) -> str:
    return re.sub(r"canary-[cdi]-\d\d-\d{3}-[0-9a-f]{0,12}", "…", path)
