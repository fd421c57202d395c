"""Files and folders: the user's cache, text files, JSON of dataclasses, progress, atomic writes."""
