"""Puts it together: configuration, wiring, command line."""
