"""Hard negatives: candidates, mining, refreshing during a training."""
