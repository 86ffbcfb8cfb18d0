"""Look whether the models of the agents can be used, and ask them if the operator wants it."""

import asyncio
from collections.abc import AsyncIterator

from gateway.agents.agent import Agent
from gateway.agents.runner import Runner
from gateway.app.gateway import Gateway
from gateway.channels.diagnosis import Finding, ok, problem
from gateway.logs import describe
from oauth.settings import PLACEHOLDER

QUESTION = "Answer with the word yes."
ANSWER_TIMEOUT = 25.0  # seconds


async def check_model(gateway: Gateway, *, asks: bool) -> AsyncIterator[Finding]:
    """Ask each model a short question, or only name them: the loading of the file has looked for their keys."""
    models = {(agent.engine, agent.model): agent for root in gateway.agents for agent in root.team()}
    for (engine, model), _ in models.items():
        if model is None or model == PLACEHOLDER:  # an agent of a framework has its own model
            continue
        subject = f"model {model}" if isinstance(model, str) else f"model {type(model).__name__}"
        if not asks:
            yield ok(
                subject, "It has what it needs; `understudy doctor --model` asks it a question, which costs money."
            )
            continue
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await Runner(Agent(model=model, engine=engine)).run(QUESTION)
        except Exception as error:  # noqa: BLE001 - each provider's library has errors of its own
            yield problem(subject, f"It does not answer: {describe(error)}. Check its key, its name and your account.")
        else:
            yield ok(subject, "It answers.")
