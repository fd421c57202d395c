"""Plot of a run: losses, active terms and λ, and measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, float]]

_NOT_LOSSES = {
    "step", "seconds", "loss", "document_terms", "query_terms", "FLOPS", "examples_per_s", "learning_rate", "grad_norm",
}  # fmt: skip


def plot_run(rows: Rows, path: Path, *, targets: Mapping[str, float], title: str = "") -> None:
    """Plot the rows of a log in a PNG file: losses, terms, and measures if there are any.

    targets: of active terms, by side, drawn as dashed lines. Raises MissingExtraError without matplotlib.
    """
    from lsr.errors import MissingExtraError

    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogFormatter
    except ImportError as error:
        raise MissingExtraError("matplotlib", "eval") from error
    measures = _names(rows, lambda name: "@" in name)
    n_panels = 3 if measures else 2
    figure = Figure(figsize=(5.2 * n_panels, 3.6), layout="constrained")
    panels: Any = figure.subplots(1, n_panels)
    losses, sparsity = panels[0], panels[1]
    for name in _names(rows, lambda name: name not in _NOT_LOSSES and "@" not in name and "lambda" not in name):
        _line(losses, rows, name)
    losses.set(title="parts of the loss", xlabel="step", yscale="log")
    for name, side in (("document_terms", "documents"), ("query_terms", "queries")):
        line = _line(sparsity, rows, name)
        if side in targets and line is not None:
            sparsity.axhline(targets[side], linestyle="--", linewidth=1, color=line.get_color())
    sparsity.set(title="active terms, targets dashed; λ dotted (right)", xlabel="step", yscale="log")
    for which in ("major", "minor"):  # 20 and 200, not powers of ten
        getattr(sparsity.yaxis, f"set_{which}_formatter")(LogFormatter(minor_thresholds=(2, 0.5)))
    weights = _names(rows, lambda name: name.startswith("lambda"))
    if weights:
        right = sparsity.twinx()
        for name in weights:
            _line(right, rows, name, linestyle=":")
        right.set(yscale="log")
    for name in measures:
        _line(panels[2], rows, name, marker="o")
    if measures:
        panels[2].set(title="measured", xlabel="step")
    for panel in panels:
        panel.legend(fontsize="small", frameon=False)
        panel.grid(alpha=0.3)
    if title:
        figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _names(rows: Rows, wanted: Any) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if wanted(name)))


def _line(panel: Any, rows: Rows, name: str, **style: Any) -> Any:
    points = [(row["step"], row[name]) for row in rows if name in row]
    if not points:
        return None
    (line,) = panel.plot(*zip(*points, strict=True), label=name, linewidth=1.2, markersize=3, **style)
    return line
