"""The model zoo: cards, where they are found, golden rows, background rows."""
