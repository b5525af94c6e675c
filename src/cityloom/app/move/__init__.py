"""A village's folder is carried into PostgreSQL: copied table by table, compared, and only then named."""
