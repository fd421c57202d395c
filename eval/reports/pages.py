"""A leaderboard as Markdown, and as one HTML page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from lsr.eval.reports.leaderboard import MEASURE, Leaderboard, Row
from lsr.io.printable import clean

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c;
       background: #fff; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
tr.published td { color: #666; }
td.best { font-weight: 700; }
svg { width: 100%; height: auto; margin: 1rem 0; }
footer, .note { color: #666; font-size: .9em; }
""".strip()
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 920, 380, 60, 270, 30, 45
_COLOURS = ("#1b7f79", "#c8553d", "#4a5fa5", "#b8860b", "#7a3b8f", "#2e7d32", "#8d5524", "#455a64")


def markdown(board: Leaderboard) -> str:
    """Return the leaderboard as Markdown: the table, the notes, the sources."""
    header = [_cell(name) for name in _columns(board)]
    lines = [f"# Leaderboard: {MEASURE}", "", f"| {' | '.join(header)} |"]
    lines.append("| --- | --- |" + " ---: |" * (len(header) - 2))
    lines += [f"| {' | '.join(map(_cell, _cells(board, row)))} |" for row in board.rows]
    notes = [*board.notes, *(f"Timed on: {machine}" for machine in board.hardware)]
    notes += [f"{system}: {source}" for system, source in board.sources.items()]
    return "\n".join([*lines, "", *(f"- {_html_escaped(note)}" for note in notes), ""])


def _cell(text: str) -> str:
    """Return a text as it may stand in a cell of a Markdown table, whatever it holds."""
    return _html_escaped(text).replace("|", "\\|")


def _html_escaped(text: str) -> str:
    """Return a text in one line in which Markdown finds no HTML."""
    return clean(text).replace("<", "&lt;")


def html(board: Leaderboard) -> str:
    """Return the leaderboard as an HTML page with plots of effectiveness against latency and size, drawn as SVG."""
    best = _best(board)
    rows = []
    for row in board.rows:
        cells = _cells(board, row)
        marked = [
            f'<td class="best">{_escape(cell)}</td>' if (row.system, at) in best else f"<td>{_escape(cell)}</td>"
            for at, cell in enumerate(cells)
        ]
        rows.append(f"<tr{'' if row.measured else ' class=published'}>{''.join(marked)}</tr>")
    head = "".join(f"<th>{_escape(name)}</th>" for name in _columns(board))
    notes = [*board.notes, *(f"Timed on: {machine}" for machine in board.hardware)]
    sources = [f"{system}: {source}" for system, source in board.sources.items()]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><title>Leaderboard</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>Leaderboard: {MEASURE}</h1>",
            f"<table><thead><tr>{head}</tr></thead><tbody>",
            *rows,
            "</tbody></table>",
            _plot(board, "search latency, µs a query (median, one thread)", lambda row: row.search_p50_us),
            _plot(board, "index size, bytes a document", _bytes_per_document),
            "<ul class=note>",
            *(f"<li>{_escape(text)}</li>" for text in notes),
            "</ul><footer><p>Sources of the published figures</p><ul>",
            *(f"<li>{_escape(text)}</li>" for text in sources),
            "</ul></footer></body></html>",
            "",
        ]
    )


def _escape(text: str) -> str:
    return escape(clean(text))


def _columns(board: Leaderboard) -> list[str]:
    return ["system", "what", *board.datasets, "mean", "BEIR-13", "search µs", "encode µs", "index MB"]


def _cells(board: Leaderboard, row: Row) -> list[str]:
    return [
        row.system,
        f"{row.detail}; measured" if row.measured else f"{row.detail}; published",
        *(_value(row.values.get(dataset), ".3f") for dataset in board.datasets),
        _value(row.mean, ".3f"),
        _value(row.beir13, ".3f"),
        _value(row.search_p50_us, ".0f"),
        _value(row.encode_p50_us, ".0f"),
        _value(None if row.size_bytes is None else row.size_bytes / 1e6, ".1f"),
    ]


def _value(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _best(board: Leaderboard) -> set[tuple[str, int]]:
    """Return (system, column) of the highest figure of each effectiveness column."""
    best = set()
    getters: list[Callable[[Row], float | None]] = [lambda row, d=d: row.values.get(d) for d in board.datasets]  # type: ignore[misc]
    getters += [lambda row: row.mean, lambda row: row.beir13]
    for at, get in enumerate(getters, 2):
        values = [value for row in board.rows if (value := get(row)) is not None]
        best |= {(row.system, at) for row in board.rows if values and get(row) == max(values)}
    return best


def _bytes_per_document(row: Row) -> float | None:
    return row.size_bytes / row.n_docs if row.size_bytes is not None and row.n_docs else None


def _plot(board: Leaderboard, label: str, cost: Callable[[Row], float | None]) -> str:
    """Draw measured systems as points over a logarithmic cost, published ones, whose cost is unknown here, as lines."""
    points = [(row, x) for row in board.rows if row.measured and row.mean is not None and (x := cost(row))]
    lines = [row for row in board.rows if not row.measured and row.mean is not None]
    if not points:
        return ""
    xs = [x for _, x in points]
    ys = [row.mean or 0.0 for row in board.rows if row.mean is not None]
    x_low, x_high = math.log10(min(xs)) - 0.15, math.log10(max(xs)) + 0.15
    margin = max(0.01, 0.1 * (max(ys) - min(ys)))
    y_low, y_high = min(ys) - margin, max(ys) + margin

    def to_x(value: float) -> float:
        return _LEFT + (math.log10(value) - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def to_y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-size="12" font-family="system-ui, sans-serif">']
    parts.append(f"<title>{MEASURE} against {_escape(label)}</title>")
    parts += [_grid_line(to_y(tick), f"{tick:.3f}") for tick in _ticks(y_low, y_high)]
    for tick in _log_ticks(x_low, x_high):
        parts.append(_text(to_x(tick), _HEIGHT - _BOTTOM + 18, f"{tick:,.0f}", "middle"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, label, "middle"))
    parts.append(_text(_LEFT, _TOP - 12, f"mean {MEASURE}", "start"))
    places = _spread([to_y(row.mean or 0.0) for row in lines])
    for row, place in zip(lines, places, strict=True):
        y = to_y(row.mean or 0.0)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f} H{_WIDTH - _RIGHT} L{_WIDTH - _RIGHT + 8} {place:.1f}" stroke="#999"'
            ' stroke-dasharray="4 4" fill="none"/>'
        )
        parts.append(_text(_WIDTH - _RIGHT + 12, place + 4, f"{row.system} {row.mean:.3f}", "start", "#666"))
    for number, (row, x) in enumerate(points):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<circle cx="{to_x(x):.1f}" cy="{to_y(row.mean or 0.0):.1f}" r="6" fill="{colour}"/>')
        at_left = to_x(x) < (_LEFT + _WIDTH - _RIGHT) / 2
        left = to_x(x) + (10 if at_left else -10)
        label_text, anchor = f"{row.system} {row.mean:.3f}", "start" if at_left else "end"
        parts.append(_text(left, to_y(row.mean or 0.0) - 8, label_text, anchor, colour))
    return "".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    halo = 'paint-order="stroke" stroke="#fff" stroke-width="4"'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {halo}>{_escape(text)}</text>'


def _grid_line(y: float, label: str) -> str:
    line = f'<path d="M{_LEFT} {y:.1f} H{_WIDTH - _RIGHT}" stroke="#eee"/>'
    return line + _text(_LEFT - 6, y + 4, label, "end")


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 2))
    step = next(s for s in (step, 2 * step, 5 * step, 10 * step) if (high - low) / s <= 6)
    first = math.ceil(low / step)
    return [n * step for n in range(first, math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= math.log10(m * 10.0**p) <= high]


def _spread(places: Sequence[float], gap: float = 15.0) -> list[float]:
    """Move labels apart, from the top down, keeping their order."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = list(places)
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + gap)
    return moved
