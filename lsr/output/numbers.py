"""Numbers as text: counts with their noun, sizes with a unit."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: 1 query, 2,000 queries."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n:,} {noun if n == 1 else several}"


def human_bytes(size_bytes: float) -> str:
    """Format a size: 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 999.95:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
