"""The folder of a run: checkpoints, logs, plots, provenance."""
