"""Measures the city: frameworks of indicators, values computed or entered with evidence, scores."""
