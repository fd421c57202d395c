"""Files and folders: links never followed, the cache, text files, JSON of dataclasses, progress."""
