"""What a reckoning of money found, drawn: bars, curves, a tornado, a value chain. Pure."""
