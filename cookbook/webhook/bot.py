"""An agent behind your own application. README.md in this folder explains the setup.

Run it with `understudy serve cookbook/webhook/bot.py`.
"""

from understudy_webhook import Webhook

from gateway import Agent, Gateway

agent = Agent(
    instructions="You help the people of a host application. Be brief.",
    name="Assistant",
    description="I answer questions.",
)
gateway = Gateway(agent, interfaces=[Webhook()])
