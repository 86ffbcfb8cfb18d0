"""An agent behind a host application of one's own. README.md beside this file says how to set it up.

understudy serve cookbook/webhook/bot.py
"""

from understudy_webhook import Webhook

from gateway import Agent, Gateway

agent = Agent(
    instructions="You help the people of a host application. Be brief.",
    name="Assistant",
    description="I answer questions.",
)
gateway = Gateway(agent, interfaces=[Webhook()])
