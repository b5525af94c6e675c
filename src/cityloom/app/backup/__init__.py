"""A city's folder copied while the city runs, checked by checksums, and made a city again."""
