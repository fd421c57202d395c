"""Terms beside a tokenizer's: phrases that are mined or given, and their embeddings."""
