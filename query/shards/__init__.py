"""Search of a set whose shards are searched apart: elsewhere, or without those that are lost."""
