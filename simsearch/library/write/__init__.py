"""Changing a library."""
