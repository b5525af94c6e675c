"""Reaches people and hears them: notices and reports."""
