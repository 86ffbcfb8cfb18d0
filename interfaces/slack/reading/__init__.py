"""What a turn asks Slack for, to read a message: who people are, and what was said in the thread."""
