"""Remembers: series of readings, what can be asked of them, and the way from a decision back to them."""
