"""File formats: which they are, and what each needs to become upright RGB."""
