"""OGC API - Features: the Entities of the city as features, for geographic information systems."""
