"""What a number of images costs, and what does not fit."""
