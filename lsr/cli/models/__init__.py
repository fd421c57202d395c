"""Commands that encode, mine and train."""
