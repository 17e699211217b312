"""Pictures that are several times in a library, or in two: pairs, groups, and which of a group is kept. Reads only."""
