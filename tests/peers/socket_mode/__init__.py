"""A stand-in for Slack's Socket Mode, in front of the stand-in for its Web API."""
