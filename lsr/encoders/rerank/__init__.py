"""Models that score a query with a document: cross-encoders and late interaction."""
