"""A flow that plans, researches in parallel, and writes an answer. README.md in this folder explains the setup.

Run it with `understudy serve cookbook/research/research_bot.py`.
"""

import asyncio

from gateway import Agent, Gateway, Message, phase
from interfaces.slack import Slack

planner = Agent(
    instructions="Name three questions that lead to an answer, one per line, and nothing else.",
    name="planner",
)
researcher = Agent(
    instructions="Answer the question in at most five sentences. Say what you are not sure of.",
    name="researcher",
)
writer = Agent(
    instructions="Answer in two short paragraphs. Use only what was found out.",
    name="writer",
)


async def research(message: Message) -> str:
    async with phase("Plan", share_context=False):
        plan = await planner(message)
    questions = [line.strip() for line in plan.splitlines() if line.strip()][:3]
    async with phase("Research") as p:
        found = await asyncio.gather(*(researcher(question) for question in questions))
        p.questions = questions
    async with phase("Write", share_context=False):
        return await writer(f"{message.text}\n\nWhat was found out:\n\n" + "\n\n".join(found)).stream()


gateway = Gateway(Agent(research, name="Researcher", description="I look into things."), [Slack()])
