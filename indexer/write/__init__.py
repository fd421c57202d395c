"""Writing an index: documents and vectors collected, inverted and committed."""
