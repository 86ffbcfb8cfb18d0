"""The agent of `understudy dev`."""

from pathlib import Path
from typing import Any

from gateway.agents.agent import Agent
from gateway.demo.notes import Notes
from gateway.demo.profile import Profile
from toolkits import Toolkit

INSTRUCTIONS = """\
You are the demonstration agent of Understudy. You keep notes for the person you talk to, and you can tell them
who they are to you. Use your tools rather than guess, and answer in a few words.
"""
PROMPTS = ("Remember that my train leaves at 9:40", "What are my notes?", "Who am I?", "What can you do?")


def demo_agent(model: Any, directory: Path, toolkits: list[Toolkit]) -> Agent:
    """Return the agent of `understudy dev`.

    Args:
        directory: the directory of the file with everybody's notes.
        toolkits: more toolkits, besides `Notes` and `Profile`.
    """
    return Agent(
        model=model,
        toolkits=[Notes(directory / "notes.db"), Profile(), *toolkits],
        instructions=INSTRUCTIONS,
        name="understudy",
        description="I keep notes for you, and for nobody else.",
        prompts=PROMPTS,
    )
