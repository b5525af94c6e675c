"""Contracts paid on indicators: terms, scores from evidence, settlements, disputes, payments."""
