"""Set the bot up at the start: its commands and descriptions, and a look at its webhook."""
