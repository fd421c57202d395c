"""Dense vectors that are fitted to rank as a sparse teacher does."""
