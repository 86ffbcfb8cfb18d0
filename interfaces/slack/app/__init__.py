"""What the app is at Slack: its scopes, its events, and the manifest that creates it."""
