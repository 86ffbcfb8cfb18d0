"""Publish and subscribe: updates for whoever watches a conversation at the moment."""
