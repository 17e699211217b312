"""The protocols of the paper and its peers."""
