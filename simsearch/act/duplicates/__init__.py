"""What is done with duplicates: a plan, its steps with a journal, and the way back."""
