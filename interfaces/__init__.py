"""The channels: Slack, Telegram, WhatsApp, ChatKit, and a web chat for development. Each has an entry point."""
