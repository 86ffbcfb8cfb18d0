"""Build, sign and post webhook requests of Slack and Twilio, also those that `emulate` does not send."""
