"""Training examples: read, checked, decontaminated, ordered and batched."""
