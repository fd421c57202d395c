"""The search engine: one query or a batch against all segments, by compiled code or numpy."""
