"""The needle protocol: recall of copies at one expected false match in a library of N."""
