"""What the tables of SQLite and of PostgreSQL have in common."""
