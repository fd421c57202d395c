"""Teachers: whatever scores documents for queries, so that a student can learn from it."""
