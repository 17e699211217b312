"""Several channels as one: what they find together, and how far they agree."""
