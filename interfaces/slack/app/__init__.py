"""What the app is at Slack: its scopes, its events, its manifest, and the tokens of its installations."""
