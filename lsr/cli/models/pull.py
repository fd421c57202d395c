"""`lsr pull`: models and indexes from the Hugging Face hub."""

from __future__ import annotations

from lsr.cli.models.push import add_pull_parser as add_parser

__all__ = ["add_parser"]
