"""The torch modules of an encoder: backbone, heads, batching."""
