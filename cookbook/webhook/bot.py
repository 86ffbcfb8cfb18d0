"""An agent behind the webhook of a host application.

understudy serve cookbook/webhook/bot.py
"""

from understudy_webhook import Webhook

from gateway import Agent, Gateway

agent = Agent(instructions="You answer questions of people who use our application.")
gateway = Gateway(agent, interfaces=[Webhook()])
