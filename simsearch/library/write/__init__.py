"""What changes a library."""
