"""Reading and searching a library."""
