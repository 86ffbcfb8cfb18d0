"""Who may use a channel: the access list, the codes of people who ask to be on it, and the check of events."""
