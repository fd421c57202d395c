"""Timing the engine, alone and beside its peers."""
