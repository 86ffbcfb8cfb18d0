"""The database side of `oauth`: tables, encryption keys, and a store for each table."""
