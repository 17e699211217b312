"""Block and allow lists: codes of pictures that are kept without the pictures, and what is checked against them."""
