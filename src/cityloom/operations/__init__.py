"""The control rooms' view: alerts from raised to cleared."""
