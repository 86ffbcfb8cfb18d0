"""The report of a leak check."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class LeakKind(StrEnum):
    TURN = "reaches another person's turn"
    CREDENTIAL = "a credential outlives its turn"
    DATA = "what a person wrote outlives their turn, where others can find it"
    LOG = "is written to the log"
    OUTPUT = "is printed"
    TEMPLATE = "changes the template"


ADVICE = {
    LeakKind.TURN: "Keep it on `self`, or key it by the whole of `context.identity`.",
    LeakKind.CREDENTIAL: "Keep credentials, and clients made with them, only on `self`: a clone ends with its turn.",
    LeakKind.DATA: "Keep it on `self`, or key it by the whole of `context.identity`.",
    LeakKind.LOG: "Log ids and outcomes, not credentials and not what people write.",
    LeakKind.OUTPUT: "Remove the print: it ends up in the operator's log.",
    LeakKind.TEMPLATE: "In tools, change only `self`: every clone is made from the template.",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """Data of one person in a place where it must not be.

    Args:
        toolkit: the class of the toolkit.
        tool: the tool that was called.
        path: where it was found: an attribute, a module global, a logger, or the tool whose result had it.
        detail: what was found, in a sentence.
    """

    kind: LeakKind
    toolkit: str
    tool: str
    path: str
    detail: str

    @property
    def place(self) -> tuple[str, ...]:
        """The identity of a leak: findings in different entries of one container are one leak."""
        return self.kind, self.toolkit, re.sub(r"\[[^\]]*\]", "[…]", self.path)

    def __str__(self) -> str:
        return f"{self.toolkit}.{self.tool}: {self.path}\n  {self.kind}: {self.detail}\n  {ADVICE[self.kind]}"


@dataclass
class Report:
    """What a leak check found, and what it searched.

    Args:
        leaks: the leaks, each once.
        notes: data that is kept, but that only its own person can reach.
        not_covered: what was not checked, and why.
    """

    people: int = 0
    turns: int = 0
    toolkits: int = 0
    tools: int = 0
    leaks: list[Leak] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_covered: list[str] = field(default_factory=list)

    def add(self, leak: Leak) -> None:
        if leak.place not in {each.place for each in self.leaks}:
            self.leaks.append(leak)

    def __str__(self) -> str:
        looked = f"{self.turns} turns of {self.people} people, {self.tools} tools of {self.toolkits} toolkits"
        verdict = f"{len(self.leaks)} leaks." if self.leaks else "No leak found."
        if not self.turns:
            verdict = "Nothing was played, so leaks may exist: no tool was found that could be called."
        sections = [f"{verdict} Played: {looked}.", *map(str, self.leaks)]
        sections += _section("Kept only for its own person", self.notes)
        sections += _section("Not covered", self.not_covered)
        return "\n\n".join(sections)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["\n".join([f"{title}:", *(f"  - {line}" for line in lines)])] if lines else []
