"""A channel for host applications of all kinds: signed JSON in both directions."""

from understudy_webhook.interface import Webhook

__all__ = ["Webhook"]
