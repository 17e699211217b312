"""What people decide on: searches for duplicates in the background, and the queue of their pairs with leases."""
