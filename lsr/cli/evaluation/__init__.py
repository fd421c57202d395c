"""Commands that evaluate and benchmark."""
