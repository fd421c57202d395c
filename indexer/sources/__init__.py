"""Sources of an index: the folders and files that it was made of, followed as they change."""
