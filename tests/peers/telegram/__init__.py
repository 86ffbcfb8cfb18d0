"""A stand-in for the Bot API server of Telegram, and the updates that it sends."""
