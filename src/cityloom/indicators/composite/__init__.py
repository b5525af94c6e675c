"""Composite indices by the ten steps of OECD and JRC: pure functions, and their definitions."""
