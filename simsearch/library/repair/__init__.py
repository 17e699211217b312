"""A lost or damaged manifest made again from the segments."""
