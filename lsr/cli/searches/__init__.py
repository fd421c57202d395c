"""Commands that search, explain and serve."""
