"""Embeddings as files: Parquet, folders of parts, and the journal of what is there."""
