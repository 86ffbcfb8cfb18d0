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
    LeakKind.CREDENTIAL: "Keep credentials, and clients made of them, on `self` alone: a clone is gone with its turn.",
    LeakKind.DATA: "Keep it on `self`, or key it by the whole of `context.identity`.",
    LeakKind.LOG: "Log ids and outcomes, not credentials and not what people write.",
    LeakKind.OUTPUT: "Take the print out: it stands in the operator's log.",
    LeakKind.TEMPLATE: "Change `self` in tools only: the template is what every clone is made of.",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which something of one person gets where it must not be.

    Args:
        toolkit: the class of the toolkit.
        tool: the tool that was called.
        path: where it was found: an attribute, a module global, a logger, or the tool whose result had it.
        detail: what was seen, in a sentence.
    """

    kind: LeakKind
    toolkit: str
    tool: str
    path: str
    detail: str

    @property
    def place(self) -> tuple[str, ...]:
        """What makes two findings one leak: the same container, whatever entry of it."""
        return self.kind, self.toolkit, re.sub(r"\[[^\]]*\]", "[…]", self.path)

    def __str__(self) -> str:
        return f"{self.toolkit}.{self.tool}: {self.path}\n  {self.kind}: {self.detail}\n  {ADVICE[self.kind]}"


@dataclass
class Report:
    """What a hunt found, and what it looked at.

    Args:
        leaks: each way once.
        notes: what was kept, but so that only its own person gets at it.
        not_covered: what was not looked at, and why.
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
            verdict = "Nothing was played, so nothing is known: no tool was found that could be called."
        sections = [f"{verdict} RunOutcome: {looked}.", *map(str, self.leaks)]
        sections += _section("Kept, for its own person alone", self.notes)
        sections += _section("Not covered", self.not_covered)
        return "\n\n".join(sections)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["\n".join([f"{title}:", *(f"  - {line}" for line in lines)])] if lines else []
