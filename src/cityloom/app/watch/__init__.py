"""Watching the city's process: what is measured of it, and told to its operator and to Prometheus."""
