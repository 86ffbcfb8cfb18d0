"""What a turn requests from Slack to read a message: the names of people, and the messages of the thread."""
