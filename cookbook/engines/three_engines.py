"""A flow that asks one agent on each engine. README.md in this folder explains the setup.

Run it with `understudy serve cookbook/engines/three_engines.py`.
"""

import asyncio

from gateway import Agent, Gateway, Message, phase
from interfaces.slack import Slack

INSTRUCTIONS = "Answer in one sentence."
ENGINES = ("pydantic-ai", "langgraph", "openai-agents")

agents = [Agent(engine=engine, instructions=INSTRUCTIONS, name=engine) for engine in ENGINES]


async def compare(message: Message) -> str:
    async with phase("Ask all three", share_context=False):
        answers = await asyncio.gather(*(agent(message) for agent in agents))
    return "\n".join(f"- **{agent.name}**: {answer}" for agent, answer in zip(agents, answers, strict=True))


# The gateway finds only the agents that a flow refers to by name: those in a list are named in `members`.
flow = Agent(compare, members=agents, name="Three engines", description="I ask three agents at once.")
gateway = Gateway(flow, [Slack()])
