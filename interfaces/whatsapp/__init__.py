"""The WhatsApp channel, through Twilio."""

from typing import TYPE_CHECKING

from oauth.extras import from_extra

if TYPE_CHECKING:
    from interfaces.whatsapp.interface import WhatsApp

__all__ = ["WhatsApp"]

__getattr__ = from_extra(__name__, "whatsapp", "The WhatsApp channel", {"WhatsApp": "interfaces.whatsapp.interface"})
