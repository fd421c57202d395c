"""The files that examples are read from."""
