"""Measures the city: frameworks, values with evidence, scores."""
