"""Making of static encoders: rows of words from a model's, then trained on queries with their documents."""
