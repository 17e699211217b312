"""Published weights: download, convert, and write as a model folder."""
