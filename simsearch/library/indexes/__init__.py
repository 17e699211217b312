"""The indexes of a library: built, measured, stored."""
