"""Publish and subscribe: live updates for pages that show a conversation."""
