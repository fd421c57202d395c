"""What makes vectors sparse, each regulariser in a module of its own with its paper."""
