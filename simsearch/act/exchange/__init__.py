"""Lists as others write them: text and CSV, NCMEC's XML, StopNCII's and HMA's JSON, read with limits and written."""
