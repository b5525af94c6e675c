"""Demo cities: one folder each, found by its position."""
