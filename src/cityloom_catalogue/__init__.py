"""What CityLoom brings along: connectors, services, frameworks, data models."""
