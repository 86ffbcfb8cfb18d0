"""The ways by which Slack's requests come: webhooks and Socket Mode."""
