"""Asks other brokers, and lets them in: registered Context Sources and operations distributed to them."""
