"""From rows to bits: hyperplanes, their fit, and the extractor of bits."""
