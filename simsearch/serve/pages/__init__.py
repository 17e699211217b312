"""Pages for people: search, the library, the review; they work without script, which only makes them quicker."""
