"""MQTT over asyncio: the city's own listener, and a client for a broker that the city has already."""
