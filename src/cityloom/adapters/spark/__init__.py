"""Questions over the archive, on the many machines of a Spark cluster."""
