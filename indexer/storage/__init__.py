"""An index on disk: manifests, generations, segments and their arrays, opened for reading."""
