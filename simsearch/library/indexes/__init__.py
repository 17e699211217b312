"""The indexes of a library: built, measured, kept."""
