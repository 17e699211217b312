"""Re-ranking: exact distances of what a pass leaves open, and the second pass."""
