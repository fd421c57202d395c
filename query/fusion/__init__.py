"""Several ranked lists of one query into one: a small module a method, all of one call shape."""
