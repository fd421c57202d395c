"""Encoding a corpus: documents in, Parquet shards of vectors out, in memory that the corpus doesn't grow."""
