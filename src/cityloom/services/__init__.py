"""Hosts the city services: wakes them, shows them the world, records why they decided."""
