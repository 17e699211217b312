"""Photographs, edits, methods and rows of a run, and their caches."""
