"""Build, sign and post the webhook requests of Slack and Twilio that `emulate` does not send itself."""
