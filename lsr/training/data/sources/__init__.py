"""Files of examples, read into tables."""
