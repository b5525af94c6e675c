"""Plain files in the city's folder."""
