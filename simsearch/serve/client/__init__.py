"""The client of a service, by the standard library alone: the methods of `Library` that make sense over HTTP."""
