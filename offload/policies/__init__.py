"""One policy a file, and a table of names."""
