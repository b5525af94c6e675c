"""DuckDB in the process: history in one file."""
