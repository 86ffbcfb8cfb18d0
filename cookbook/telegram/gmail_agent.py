"""A Telegram bot for each person's own mail. README.md beside this file says how to set it up.

understudy serve cookbook/telegram/gmail_agent.py
"""

from gateway import Agent, Gateway
from interfaces.telegram import Telegram
from oauth.google import GoogleAuth
from toolkits.google import Gmail

agent = Agent(
    toolkits=[Gmail(auth=GoogleAuth())],
    instructions="You help the person who asks with their mail. Be brief, and say which mail you mean.",
    name="Mail assistant",
    description="I read your mail, and write it when you say yes.",
)
gateway = Gateway(agent, interfaces=[Telegram()])
