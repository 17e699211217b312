"""Self-contained HTML pages: duplicates to decide on, and the evidence of one match."""
