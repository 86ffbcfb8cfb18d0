"""The channels: Slack, Telegram, WhatsApp, and a web chat for development. Each is found by entry point."""
