"""Approximate indexes: their specification, and FAISS on CPU, GPU and in a process of its own."""
