"""Frost warning for growers."""
