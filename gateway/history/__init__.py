"""What was said in conversations: what a turn reads of it, and what a channel shows of it."""
