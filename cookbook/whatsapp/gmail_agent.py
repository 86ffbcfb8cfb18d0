"""A WhatsApp bot that helps each person with their own Gmail. README.md in this folder explains the setup.

Run it with `understudy serve cookbook/whatsapp/gmail_agent.py`.
"""

from gateway import Agent, Gateway
from interfaces.whatsapp import WhatsApp
from oauth.google import GoogleAuth
from toolkits.google import Gmail

agent = Agent(
    toolkits=[Gmail(auth=GoogleAuth())],
    instructions="You help the person who asks with their mail. Be brief, and say which mail you mean.",
    name="Mail assistant",
    description="I read your mail, and write it when you say yes.",
)
gateway = Gateway(agent, interfaces=[WhatsApp()])
