"""An agent on Telegram that uses OpenAI's chat completions API."""

from gateway import Agent, Gateway
from interfaces.telegram import Telegram

gateway = Gateway(Agent(model="openai-chat:gpt-test"), [Telegram()])
