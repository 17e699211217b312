"""The commands `list` and `check`."""
