"""Estimates what was not measured. Pure functions on arrays."""
