"""The consent loop: sign-in links, the callback, codes, credentials, and disconnecting."""
