"""Exact search of packed codes."""
