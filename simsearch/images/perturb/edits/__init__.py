"""The edits themselves, by what they do to an image."""
