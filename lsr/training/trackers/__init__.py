"""Trackers of a training's log, each in its own module and opened by name."""
