"""Images with several vectors each."""
