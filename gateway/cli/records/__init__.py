"""Commands about what is stored: turns, dead letters, the audit, sessions, people, the keys, the database."""
