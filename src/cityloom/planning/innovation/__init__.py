"""Helping young firms: challenges, and what came of who took them up."""
