"""What people decided of pairs of contents: a log in the manifest that is only ever appended to."""
