from chatkit_run import heard
from interfaces_run import run
from slack_run import slack
from telegram_run import bot
from whatsapp_run import whatsapp

__all__ = ["bot", "heard", "run", "slack", "whatsapp"]
