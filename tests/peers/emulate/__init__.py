"""The stand-ins for Google, Slack, Twilio and GitHub: npm `emulate`, and what the tests add to it."""
