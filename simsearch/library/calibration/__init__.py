"""What matches of a library are worth: rates of strangers, counted on its rows and kept in its folder."""
