"""Loomby, the built-in simulated town."""
