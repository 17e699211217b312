"""What stands before the routes: connections, bounds on requests, tokens, counts."""
