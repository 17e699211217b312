"""Decoding in worker processes, each killable: a crash or a hang costs one reject."""
