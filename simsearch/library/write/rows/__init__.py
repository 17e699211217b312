"""Rows from files, without images: taken in by thousands."""
