"""Exact search for a few queries: one pass over the rows as they are stored."""
