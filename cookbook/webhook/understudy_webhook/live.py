"""Previews of running turns: this channel has none, and posts only the answer."""
