"""What an encoder learns from, each loss in a module of its own with its paper."""
