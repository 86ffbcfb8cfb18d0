"""Messages that are made of Twilio's content templates: https://www.twilio.com/docs/content/overview"""
