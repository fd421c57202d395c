"""Training: examples, teachers, mining, losses, and the trainer."""
