"""The grown city's tables, in PostgreSQL: one file a port."""
