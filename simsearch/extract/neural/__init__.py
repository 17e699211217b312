"""Networks as extractors."""
