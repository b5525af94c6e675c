"""Adapters that keep everything in memory and nothing afterwards: for tests and trials."""
