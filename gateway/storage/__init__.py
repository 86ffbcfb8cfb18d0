"""Storage: the database on SQLite or PostgreSQL, its tables and its migrations."""
