"""Decide who may use a channel: by the access list, and by codes for people who ask to be on it."""
