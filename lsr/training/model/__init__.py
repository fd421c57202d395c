"""The encoder in training: its construction, freezing, fitted head, packaging."""
