"""The consent loop: sign-in links, the callback, confirmation, renewal and the end of an account."""
