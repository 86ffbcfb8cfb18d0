"""Messages as models read them: the files that a model takes, texts for all else, and what a message refers to."""
