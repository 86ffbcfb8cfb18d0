from support.channels.chatkit import heard
from support.channels.running import run
from support.channels.slack import slack
from support.channels.telegram import bot
from support.channels.whatsapp import service, whatsapp

__all__ = ["bot", "heard", "run", "service", "slack", "whatsapp"]
