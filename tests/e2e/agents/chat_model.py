"""An agent on Telegram with a model of OpenAI, which is asked through the API for chat completions."""

from gateway import Agent, Gateway
from interfaces.telegram import Telegram

gateway = Gateway(Agent(model="openai-chat:gpt-test"), [Telegram()])
