"""Diagrams of stakeholders. Each says the same as the table beside it."""
