"""Shows: HTTP interfaces, pages, live stream. No rules of the city live here."""
