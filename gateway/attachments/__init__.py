"""Turn messages into prompts: files that the model reads itself, texts of all other files, and quoted messages."""
