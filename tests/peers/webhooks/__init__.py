"""Build, sign and post webhook requests of Slack and Twilio, including kinds that `emulate` does not send."""
