"""What answers from a library."""
