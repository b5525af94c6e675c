"""What the city fetches from the web."""
