"""A Slack bot that reads each person's own mail. README.md beside this file says how to set it up.

understudy serve cookbook/slack/gmail_agent.py
"""

from gateway import Agent, Gateway
from interfaces.slack import Slack
from oauth.google import GoogleAuth
from toolkits.google import Gmail

agent = Agent(
    toolkits=[Gmail(auth=GoogleAuth())],
    instructions="You answer questions about the mail of the person who asks. Be brief, and say which mail you mean.",
    name="Mail assistant",
    description="I answer questions about your mail.",
)
gateway = Gateway(agent, interfaces=[Slack()])
