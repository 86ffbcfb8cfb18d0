"""Publish and subscribe: live updates for those who watch a conversation."""
