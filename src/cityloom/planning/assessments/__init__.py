"""Questionnaires, checklists and classifications as data, what was answered to them, and registers."""
