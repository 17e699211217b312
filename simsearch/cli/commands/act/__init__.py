"""Commands by which people act on matches."""
