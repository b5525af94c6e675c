"""Workbooks (Office Open XML) as tables."""
