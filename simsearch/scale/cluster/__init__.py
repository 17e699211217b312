"""Embedding on a cluster: shards of inputs, a ledger of what is done, workers, Ray."""
