"""Hears the world, and carries Commands to it: connectors, device registry, data models."""
