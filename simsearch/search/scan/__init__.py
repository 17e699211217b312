"""Passes over all rows: blocks of bounded memory, and top-k."""
