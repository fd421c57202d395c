"""Output shared by commands and server: hits and explanations as JSON and text, terminal layout."""
