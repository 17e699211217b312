"""Perceptual hashes, one file a hash."""
