"""A small channel of somebody else's, as they would write it: JSON both ways, signed with HMAC-SHA256."""

from postbox.interface import Postbox

__all__ = ["Postbox"]
