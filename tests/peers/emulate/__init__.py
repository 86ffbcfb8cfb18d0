"""The stand-ins for Google, Slack, Twilio and GitHub: npm `emulate`, with additions for the tests."""
