"""Knows how the city is now: provision and consumption of entities. Owns the feed."""
