"""The format on disk: manifest, segments, channels, and how they are written and checked."""
