"""Rows from files, without images, ingested in batches."""
