"""`lsr leaderboard`: result files into one table beside published figures, and into MTEB's files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import note
from lsr.output.terminal import say


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "leaderboard",
        help="collect result files into a table beside published figures",
        description="Collect the result files that 'lsr eval --output DIR' writes into a table (Markdown, on standard"
        " output unless a file is named), an HTML page with plots, and MTEB's result files.",
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="result files, or folders of them")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write the table there")
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="write the page there")
    parser.add_argument("--mteb", type=Path, metavar="DIR", help="write MTEB's task results and a ModelMeta stub there")
    parser.add_argument("--system", metavar="NAME", help="only this system's results (for --mteb: which one)")
    parser.add_argument("--model", metavar="ORG/NAME", help="what MTEB is to call the model")
    parser.add_argument("--revision", metavar="REV", help="of the model, for MTEB")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Collect and write."""
    from lsr.errors import LsrError, UsageError
    from lsr.eval.reports import pages
    from lsr.eval.reports.leaderboard import collect_results, make_leaderboard
    from lsr.eval.reports.mteb_files import write_mteb_files
    from lsr.io.text_files import written_whole

    if bool(args.mteb) != bool(args.model and args.revision):
        raise UsageError("--mteb DIR goes with --model ORG/NAME and --revision REV")
    results = collect_results(args.results)
    if args.system:
        known = sorted({result.system for result in results})
        results = [result for result in results if result.system == args.system]
        if not results:
            raise LsrError(f"no result of {args.system!r}; there is {', '.join(known)}")
    board = make_leaderboard(results)
    for path, make in ((args.markdown, pages.markdown), (args.html, pages.html)):
        if path:
            with written_whole(path) as file:
                file.write(make(board))
            note(f"written: {path}")
    if args.mteb:
        paths, left_out = write_mteb_files(results, args.mteb, model=args.model, revision=args.revision)
        note(f"written: {len(paths)} task results in {paths[0].parent}; check model_meta.py by hand")
        for line in left_out:
            note(f"left out: {line}")
    if not (args.markdown or args.html or args.mteb):
        say(*pages.markdown(board).splitlines())
    return 0
