"""Figures as PNG files, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, MissingExtraError

_WIN, _LOSS = "#1b7f79", "#c8553d"


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure and its axes, of so many inches, that no window is opened for."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "eval") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure. Raises LsrError where the file can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise LsrError(f"{path}: the plot can't be written: {error}") from error


def plot_wins_and_losses(
    differences: Mapping[str, float], path: Path, *, a: str, b: str, measure: str, dataset: str, n_named: int = 3
) -> None:
    """Draw the per-query differences `b − a` as sorted bars, and list the `n_named` largest of both signs."""
    ordered = sorted(differences.items(), key=lambda item: (-item[1], item[0]))
    values = [value for _, value in ordered]
    wins, losses = sum(v > 0 for v in values), sum(v < 0 for v in values)
    figure, axes = new_figure(8, 4)
    axes.bar(range(len(values)), values, width=1.0, color=[_WIN if v > 0 else _LOSS for v in values])
    axes.axhline(0, color="black", linewidth=0.8)
    mean = sum(values) / max(1, len(values))
    axes.axhline(mean, color="grey", linewidth=0.8, linestyle="--")
    axes.annotate(f"mean {mean:+.4f}", (1, mean), (-2, 3), ("axes fraction", "data"), "offset points", ha="right")
    best, worst = ordered[: min(n_named, wins)], ordered[::-1][: min(n_named, losses)]
    axes.text(0.98, 0.97, _listed("largest wins", best), transform=axes.transAxes, ha="right", va="top", fontsize=8)
    axes.text(0.02, 0.03, _listed("largest losses", worst), transform=axes.transAxes, va="bottom", fontsize=8)
    axes.set_xlim(-0.5, max(1, len(values)) - 0.5)
    axes.set_xlabel(f"{len(values)} queries: {wins} won, {len(values) - wins - losses} tied, {losses} lost by {b}")
    axes.set_ylabel(f"{measure}, {b} − {a}")
    axes.set_title(f"{dataset}: {b} against {a}", loc="left")
    save_figure(figure, path)


def _listed(title: str, items: list[tuple[str, float]]) -> str:
    lines = [f"{_short(query_id)}  {value:+.3f}" for query_id, value in items]
    return "\n".join([title, *lines]) if lines else ""


def _short(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + "…"
