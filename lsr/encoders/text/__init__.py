"""Text before encoding: tokens and passages."""
