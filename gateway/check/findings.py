"""Decide which of the marks that were found are leaks."""

import gc
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.agents.agent import Agent
from gateway.check.heap import Heap, lasting_roots, thread_values
from gateway.check.marks import Kind, Mark, Marks, Survivor, find_marks, marks_in_text
from gateway.check.output import Output
from gateway.check.owners import Owners
from gateway.check.people import Person
from gateway.check.report import Leak, LeakKind, Report
from gateway.check.scene import ObservedTurn, Scene
from toolkits import Toolkit
from toolkits.cloning.declarations import INTERNAL

WHAT = {Kind.CREDENTIAL: "the credential", Kind.DATA: "the text", Kind.IDENTITY: "the user id"}

States = Mapping[int, Mapping[str, str]]
"""The attributes of each template, by its id."""


class Findings:
    """Adds leaks and notes to a report.

    Args:
        scenes: the scenes that were played, in the order of their numbers.
        people: the people of each scene, by its number.
    """

    def __init__(
        self, report: Report, marks: Marks, scenes: Sequence[Scene], people: Mapping[int, Sequence[Person]]
    ) -> None:
        self._report = report
        self._marks = marks
        self._scenes = scenes
        self._people = people

    def check_turn(self, scene: Scene, outcome: ObservedTurn) -> None:
        """Report marks of other people in the results and the error of a turn."""
        in_error = find_marks(outcome.error)
        for mark in find_marks(*outcome.given, outcome.error):
            if mark not in self._marks or _is_of(mark, outcome.person):
                continue
            where = "error" if mark in in_error else "result"
            detail = (
                f"{WHAT[mark.kind]} of person {mark.person} was found in the turn of person "
                f"{outcome.person.number}{self._from(mark, scene)}."
            )
            self._report.add(Leak(LeakKind.TURN, scene.owner, scene.tool, f"the {where} of {scene.tool}", detail))

    def check_templates(self, toolkits: Iterable[Toolkit], before: States) -> None:
        """Report attributes of templates that have changed since before the first turn."""
        for toolkit in toolkits:
            now, then = _state(toolkit), before[id(toolkit)]
            owner = type(toolkit).__name__
            for name in sorted({*now, *then}):
                if now.get(name) != then.get(name):
                    detail = f"{name} of the template has changed during the check."
                    self._report.add(Leak(LeakKind.TEMPLATE, owner, "", f"{owner}.{name}", detail))

    def check_output(self, output: Output) -> None:
        """Report credentials and data in log lines, warnings and printed output."""
        for where, text in output.lines:
            for mark in marks_in_text(text):
                if mark.kind is not Kind.IDENTITY:
                    self._report_mark(LeakKind.LOG, mark, where)
        for mark in marks_in_text(output.printed):
            if mark.kind is not Kind.IDENTITY:
                self._report_mark(LeakKind.OUTPUT, mark, "standard output")

    async def check_memory(self, agent: Agent, toolkits: Sequence[Toolkit], hidden: Iterable[Any]) -> None:
        """Report credentials and data that are still in memory where others can reach them.

        Args:
            hidden: objects of the check itself, which are not searched.
        """
        gc.collect()
        classes = dict.fromkeys(cls for toolkit in toolkits for cls in type(toolkit).__mro__ if cls is not object)
        templates: dict[str, Any] = {cls.__name__: cls for cls in classes}
        templates |= {f"the template of {type(toolkit).__name__}": toolkit for toolkit in toolkits}
        templates["the agent"] = agent
        own = [self, self.__dict__, self._report, self._marks, self._scenes, self._people, *self._people.values()]
        own += [person for people in self._people.values() for person in people]
        heap = Heap(lasting_roots(templates, [cls.__module__ for cls in classes]), [*own, *hidden])
        survivors = [each for each in heap.survivors() if each.mark in self._marks]
        owners = Owners(survivors, self._people)
        for survivor in survivors:
            self._judge(survivor, owners)
        for path, value in await thread_values(heap):
            for mark in find_marks(value):
                if mark.kind is not Kind.IDENTITY:
                    kind = LeakKind.CREDENTIAL if mark.kind is Kind.CREDENTIAL else LeakKind.DATA
                    self._report_mark(kind, mark, path)

    def _judge(self, survivor: Survivor, owners: Owners) -> None:
        mark = survivor.mark
        if mark.kind is Kind.IDENTITY:
            return
        if mark.kind is Kind.CREDENTIAL:
            self._report_mark(LeakKind.CREDENTIAL, mark, survivor.path)
            return
        if survivor.is_key or any(mark.text in key for key in survivor.keys):
            return  # a memo: only somebody who knows the text already can look it up
        how = owners.how_kept(survivor)
        if how is None:
            self._report_mark(LeakKind.DATA, mark, survivor.path)
            return
        note = f"{_without_marks(survivor.path)} keeps data of each person, {how}."
        if note not in self._report.notes:
            self._report.notes.append(note)

    def _report_mark(self, kind: LeakKind, mark: Mark, path: str) -> None:
        if mark not in self._marks:
            return
        scene = self._scenes[mark.scene - 1]
        where = "was found in it" if kind in (LeakKind.LOG, LeakKind.OUTPUT) else "was found after the turn"
        detail = f"{WHAT[mark.kind]} of person {mark.person} {where}."
        self._report.add(Leak(kind, scene.owner, scene.tool, _without_marks(path), detail))

    def _from(self, mark: Mark, scene: Scene) -> str:
        if mark.kind is Kind.IDENTITY or mark.scene == scene.number:
            return ""
        return f", from an earlier call of {self._scenes[mark.scene - 1].tool}"


def states_of(toolkits: Iterable[Toolkit]) -> States:
    """Return the attributes of templates, to compare them later."""
    return {id(toolkit): _state(toolkit) for toolkit in toolkits}


def _state(toolkit: Toolkit) -> dict[str, str]:
    """Return the attributes of a template as text, without those that it shares on purpose."""
    left_out = {*toolkit._clone_shared_attrs, *INTERNAL}
    return {
        name: json.dumps(value, default=lambda other: f"{type(other)} {id(other)}", sort_keys=True, skipkeys=True)
        if isinstance(value, (dict, list, str, int, float, bool, type(None)))
        else f"{type(value)} {id(value)}"
        for name, value in vars(toolkit).items()
        if name not in left_out
    }


def _is_of(mark: Mark, person: Person) -> bool:
    return mark.person == (person.role.user if mark.kind is Kind.IDENTITY else person.number)


def _without_marks(path: str) -> str:
    return re.sub(r"canary-[cdi]-\d\d-\d{3}-[0-9a-f]{0,12}", "…", path)
