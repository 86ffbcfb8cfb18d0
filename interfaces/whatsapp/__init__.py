"""The WhatsApp channel, through Twilio."""

from interfaces.whatsapp.interface import WhatsApp

__all__ = ["WhatsApp"]
