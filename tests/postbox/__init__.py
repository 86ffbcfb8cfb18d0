"""A small channel as an author outside this project would write it: JSON in both directions, signed with HMAC-SHA256.

Its platform is a made-up post office that delivers letters.
"""

from postbox.interface import Postbox

__all__ = ["Postbox"]
