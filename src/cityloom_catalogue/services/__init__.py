"""City services: each decides something for people, from what the city knows."""
