"""A Slack bot that sums up the thread that it is mentioned in. threads.md in this folder explains the setup.

Run it with `understudy serve cookbook/slack/thread_bot.py`.
"""

from gateway import Agent, Gateway
from interfaces.slack import Slack

agent = Agent(
    instructions=(
        "You are mentioned in threads, and told what was said there. Do what the person who mentions you asks for. If "
        "that is a summary: in at most five bullets, what was decided, who does what, and what is open. Call people by "
        "the names that you are told."
    ),
    name="Thread bot",
    description="Mention me in a thread, and I sum it up.",
)
gateway = Gateway(agent, interfaces=[Slack()])
