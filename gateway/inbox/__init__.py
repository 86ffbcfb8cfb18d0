"""The inbox: accept events, claim their messages, and dispatch the turns that play them."""
