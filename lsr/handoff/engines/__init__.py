"""Engines that vectors are handed to, a module each."""
