"""The pages of this repository that are made from measured figures, each by one module."""
