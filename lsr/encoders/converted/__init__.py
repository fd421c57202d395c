"""Dense vectors as sparse codes, and sparse vectors as dense ones."""
