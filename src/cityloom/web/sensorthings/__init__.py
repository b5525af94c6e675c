"""OGC SensorThings API 1.1: the Entities of the city as things, data streams and observations."""
