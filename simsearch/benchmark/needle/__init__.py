"""The needle protocol: copies found where one false match is expected in a library of N."""
