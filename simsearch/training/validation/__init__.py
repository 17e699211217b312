"""Validation of a network during and after training."""
