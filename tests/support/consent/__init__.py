"""The steps of a sign-in: in the chat, in the browser and at the provider."""
