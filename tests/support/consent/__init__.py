"""The steps of a sign-in: at the provider, in the browser and in the chat."""
