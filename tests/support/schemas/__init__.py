"""Schemas of earlier and of later versions of the gateway."""
