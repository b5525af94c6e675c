"""Remembers: series, temporal queries, aggregation, export, and how a value came to be."""
