"""Moving an index in and out: archives, Parquet vectors, verification."""
