"""Help for hands and shells: usage on errors, near matches, config files, completion."""
