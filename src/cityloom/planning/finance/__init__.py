"""What things cost, what they bring, and who pays: reckoned exactly, from what a city writes down. Pure."""
