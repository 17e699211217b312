"""Photographs, batches and pairs that a run trains on."""
