"""Look at the account at Twilio and at the webhook of its sender, and set the webhook if there is none."""
