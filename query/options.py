"""Search options: one validated value, whose fields describe themselves to every interface.

The command line, the REST interface, `lsr eval` and Python build their options from the `OptionSpec` of each field
(`option_specs`), so a new option is a new field here. Nothing heavy is imported before an option needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lsr.errors import UsageError
from lsr.io.option_spec import HYBRID, OptionSpec, refuse, whole_number

if TYPE_CHECKING:
    from lsr.query.engine.approximate import Approximate
    from lsr.query.feedback import Feedback
    from lsr.query.filters.filter import DocumentFilter
    from lsr.query.fusion.fuser import Fuser
    from lsr.query.hybrid.score_smoothing import Neighbours
    from lsr.query.hybrid.settings import Hybrid, Reranker

MODES, FUSERS = ("rerank", "union"), ("min-max", "tm2c2", "z-score", "rrf", "dbsf")
"""The modes and fusion methods by name, as `lsr.query.hybrid` and `lsr.query.fusion` have them."""
FEEDBACK_DOCS = 10
LARGEST_OFFSET = 1_000_000


def _described(**spec: Any) -> Mapping[str, OptionSpec]:
    return {"option": OptionSpec(**spec)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """Options of a search, checked when they are made. Each may be given as its value type or in a short form.

    feedback=10 is `Feedback(n_docs=10)`, approximate="alpha=0.8" is `Approximate(alpha=0.8)`, and hybrid="union" is
    `Hybrid(mode="union")` in `hybrid_search`, where rerank, fuser, weights, word_weight, candidates and neighbours are
    taken in. Raises UsageError for a value of another type or outside its range, and for options that exclude each
    other.
    """

    k: int = field(default=10, metadata=_described(
        kind="int", least=1, metavar="K", flags=("-k",),
        help="results wanted (default: 10)",
    ))  # fmt: skip
    offset: int = field(default=0, metadata=_described(
        kind="int", least=0, most=LARGEST_OFFSET, metavar="N",
        help="skip the best N results; ranks count on",
    ))  # fmt: skip
    where: str | DocumentFilter | None = field(default=None, metadata=_described(
        kind="text", metavar="F", flags=("--where", "--filter"), accepts="a DocumentFilter of this index",
        help="find only documents whose fields fit, as \"year >= 2020 and lang == 'en'\"; docs/FILTERS.md says"
        " more",
    ))  # fmt: skip
    plain: bool | None = field(default=None, metadata=_described(
        kind="bool", bare=True, flags=("--plain", "--no-plain"),
        help='take a query as it is: "a phrase", +word and -word in it say nothing special (default: of a typed query'
        " they do; of a file or data set of queries they don't)",
    ))  # fmt: skip
    min_score: float | None = field(default=None, metadata=_described(
        kind="float", metavar="S",
        help="leave out results that score below S",
    ))  # fmt: skip
    fields: tuple[str, ...] | None = field(default=None, metadata=_described(
        kind="names", metavar="NAME,…",
        help="the fields that a result carries (default: all)",
    ))  # fmt: skip
    sort: str | None = field(default=None, metadata=_described(
        kind="text", metavar="FIELD",
        help="order all documents with a term of the query by a field, ascending, or descending by "
        "--sort=-FIELD; those without the field last",
    ))  # fmt: skip
    facets: tuple[str, ...] = field(default=(), metadata=_described(
        kind="names", metavar="NAME,…",
        help="count the values of these fields among all documents with a term of the query",
    ))  # fmt: skip
    total: bool = field(default=False, metadata=_described(
        kind="bool", bare=True,
        help="count all documents with a term of the query",
    ))  # fmt: skip
    hybrid: str | Hybrid | None = field(default=None, metadata=_described(
        kind="text", choices=MODES, may_be_off=True, bare=MODES[0], group=HYBRID, accepts="a Hybrid",
        help="fuse with the index's dense vectors: 'rerank' scores the candidates of the sparse search by them"
        " (the default), 'union' searches by them too",
    ))  # fmt: skip
    rerank: str | Reranker | None = field(default=None, metadata=_described(
        kind="text", metavar="R", group=HYBRID, local=True, accepts="a Reranker",
        help="score the candidates by R, in place of dense vectors: late-interaction (by the token vectors of "
        "the index's dense model), slim (by those of its sparse one), late-interaction:MODEL, slim:MODEL or "
        "cross-encoder:MODEL, MODEL being a folder or a name on the hub",
    ))  # fmt: skip
    fuser: str | Fuser | None = field(default=None, metadata=_described(
        kind="text", metavar="NAME", choices=FUSERS, group=HYBRID, accepts="a Fuser",
        help=f"fusion method: {', '.join(FUSERS)} (default: {FUSERS[0]})",
    ))  # fmt: skip
    weights: tuple[float, ...] | None = field(default=None, metadata=_described(
        kind="numbers", n_values=2, metavar="W", group=HYBRID,
        help="weights of the sparse and the other leg (default: those of a tuned index, else equal)",
    ))  # fmt: skip
    word_weight: float | None = field(default=None, metadata=_described(
        kind="float", metavar="W", group=HYBRID,
        help="weight of exact words in the sparse leg, where the encoder has such (default: that of a tuned index, else"
        " the encoder's)",
    ))  # fmt: skip
    candidates: int | None = field(default=None, metadata=_described(
        kind="int", least=10, most=1000, metavar="N", group=HYBRID,
        help="candidates of each leg, 10 to 1000 (default: those of a tuned index, else 100); with neighbours a union"
        " takes a quarter as many of the dense one",
    ))  # fmt: skip
    neighbours: bool | Neighbours | None = field(default=None, metadata=_described(
        kind="bool", bare=False, flags=("--no-neighbours",), group=HYBRID, accepts="a Neighbours",
        help="fuse only: don't draw a document's score towards those of candidates with near dense vectors",
    ))  # fmt: skip
    feedback: Feedback | None = field(default=None, metadata=_described(
        kind="int", least=1, may_be_off=True, bare=FEEDBACK_DOCS, metavar="DOCS", accepts="a Feedback",
        help=f"add to the query what its first DOCS documents say, and search again (default: {FEEDBACK_DOCS})",
    ))  # fmt: skip
    approximate: Approximate | None = field(default=None, metadata=_described(
        kind="text", may_be_off=True, metavar="LEVEL|NAME=VALUE,…", accepts="a mapping of them, or an Approximate",
        help="search faster, and perhaps miss documents: fast, balanced or near-exact; or alpha=0.8 relaxes the bounds,"
        " superblocks=50 ends the search after so many groups of 64 documents, query_cut=8 bounds by the 8 heaviest of"
        " the frequent terms",
    ))  # fmt: skip
    locate: bool = field(default=False, metadata=_described(
        kind="bool", bare=True, flags=("--locate", "--no-locate"), local=True,
        help="say of a result the path of its file, and the line there (the page of a PDF, the cell of a notebook)"
        " that says most about the query (default for one query on the command line)",
    ))  # fmt: skip
    explain: bool = field(default=False, metadata=_described(
        kind="bool", bare=True,
        help="show of each result what each term added to its score",
    ))  # fmt: skip
    partial: bool = field(default=False, metadata=_described(
        kind="bool", bare=True,
        help="answer without shards of a set that are missing, damaged or silent, and say so; without it that is an"
        " error",
    ))  # fmt: skip
    threads: int | None = field(default=None, metadata=_described(
        kind="int", least=1, metavar="N", local=True,
        help="threads for many queries (default: one a core)",
    ))  # fmt: skip

    hybrid_search: Hybrid | None = field(default=None, init=False, compare=False)
    """`hybrid` with its parts taken in; None for a search by terms alone."""

    def __post_init__(self) -> None:
        """Check every option and bring short forms to their value types."""
        for name, _, default in option_specs():
            value = getattr(self, name)
            if value is not default:
                object.__setattr__(self, name, check_option(name, value))
        object.__setattr__(self, "hybrid_search", _hybrid_search(self))
        if self.sort is not None and (self.hybrid_search is not None or self.approximate is not None):
            other = "approximate" if self.hybrid_search is None else "hybrid and rerank"
            raise UsageError(f"sort orders all documents that hold a term of the query, exactly: leave out {other}")

    @classmethod
    def of(cls, **given: Any) -> SearchOptions:
        """Return options by name, in short forms or as value types. Raises UsageError for an unknown name."""
        check_names(given)
        return cls(**given)

    def replace(self, **given: Any) -> SearchOptions:
        """Return these options with some others. `hybrid=None` also takes away what belongs to a hybrid search."""
        if not given:
            return self
        check_names(given)
        if "hybrid" in given and given["hybrid"] is None and given.get("rerank") is None:
            given = dict.fromkeys(HYBRID_PARTS) | given
        return replace(self, **given)

    @property
    def depth(self) -> int:
        """Results to find: those wanted, and those skipped before them."""
        return self.k + self.offset

    @property
    def counts_matches(self) -> bool:
        """True where all matching documents are counted."""
        return self.total or bool(self.facets)


_SYNONYMS = {"filter": "where", "allowed": "where", "limit": "k", "top_k": "k", "reranker": "rerank"}
HYBRID_PARTS = ("rerank", "fuser", "weights", "word_weight", "candidates", "neighbours")
"""Options that say how a hybrid search is done, and mean nothing without one."""


class NamedOption(NamedTuple):
    """An option with its name and default."""

    name: str
    spec: OptionSpec
    default: Any


def option_specs() -> tuple[NamedOption, ...]:
    """Return all search options in their order."""
    return _specs_of(SearchOptions)


@cache
def _specs_of(of: Any) -> tuple[NamedOption, ...]:
    return tuple(
        NamedOption(option.name, option.metadata["option"], option.default)
        for option in fields(of)
        if "option" in option.metadata
    )


@cache
def _by_name(of: Any) -> Mapping[str, NamedOption]:
    return {option.name: option for option in _specs_of(of)}


def option_spec(name: str) -> OptionSpec:
    """Return the description of an option. Raises UsageError, with near matches, for a name that no option has."""
    check_names([name])
    return _by_name(SearchOptions)[name].spec


def check_names(given: Iterable[str]) -> None:
    """Raise UsageError, with near matches, for a name that no option has."""
    known = _by_name(SearchOptions)
    for name in given:
        if name not in known:
            from difflib import get_close_matches

            near = [_SYNONYMS[name]] if name in _SYNONYMS else get_close_matches(name, known, n=2)
            hint = f": did you mean {' or '.join(near)}?" if near else f": there are {', '.join(known)}"
            raise UsageError(f"no search option {name!r}{hint}")


def check_option(name: str, value: Any, *, called: str = "") -> Any:
    """Return an option's value as its value type. called: its name in messages. Raises UsageError."""
    spec = option_spec(name)
    if value is None and name in _OPTIONAL:
        return None
    special = _SPECIAL.get(name)
    found = NotImplemented if special is None else special(called or name, spec, value)
    return spec.check(called or name, value) if found is NotImplemented else found


def _where(name: str, spec: OptionSpec, value: Any) -> Any:
    if isinstance(value, str):
        return value
    from lsr.query.filters.filter import DocumentFilter

    return value if isinstance(value, DocumentFilter) else refuse(name, value, spec.expected)


def _sort(name: str, spec: OptionSpec, value: Any) -> Any:
    del spec
    if isinstance(value, str) and not value.removeprefix("-"):
        refuse(name, value, "the name of a field, after a '-' for descending order")
    return NotImplemented


def _hybrid(name: str, spec: OptionSpec, value: Any) -> Any:
    if isinstance(value, str):
        return NotImplemented
    from lsr.query.hybrid.settings import Hybrid

    return value if isinstance(value, Hybrid) else refuse(name, value, spec.expected)


def _rerank(name: str, spec: OptionSpec, value: Any) -> Any:
    if isinstance(value, str):
        from lsr.query.hybrid.rerank.registry import make_reranker

        return make_reranker(value) or value
    fits = all(hasattr(value, part) for part in ("name", "minimum", "scores"))
    return value if fits else refuse(name, value, spec.expected)


def _fuser(name: str, spec: OptionSpec, value: Any) -> Any:
    if isinstance(value, str):
        return NotImplemented
    from lsr.query.fusion.fuser import Fuser

    return value if isinstance(value, Fuser) else refuse(name, value, spec.expected)


def _neighbours(name: str, spec: OptionSpec, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    from lsr.query.hybrid.score_smoothing import Neighbours

    return value if isinstance(value, Neighbours) else refuse(name, value, spec.expected)


def _feedback(name: str, spec: OptionSpec, value: Any) -> Any:
    from lsr.query.feedback import Feedback

    if isinstance(value, Feedback):
        return value
    return Feedback(n_docs=whole_number(name, spec, value))


def _approximate(name: str, spec: OptionSpec, value: Any) -> Any:
    from lsr.query.engine.approximate import Approximate

    if isinstance(value, Approximate):
        return value
    if isinstance(value, str):
        return Approximate.parse(value)
    if isinstance(value, Mapping):
        return Approximate.of(value)
    return refuse(name, value, "settings as 'alpha=0.8', " + spec.accepts)


_OPTIONAL = frozenset(option.name for option in option_specs() if option.default is None)
_SPECIAL: Mapping[str, Any] = {
    "where": _where,
    "sort": _sort,
    "hybrid": _hybrid,
    "rerank": _rerank,
    "fuser": _fuser,
    "neighbours": _neighbours,
    "feedback": _feedback,
    "approximate": _approximate,
}
"""Functions from an option's value to its value type; NotImplemented leaves it to the option's kind."""


def _hybrid_search(options: SearchOptions) -> Hybrid | None:
    given: Any = options.hybrid
    parts = {name: value for name in HYBRID_PARTS if (value := getattr(options, name)) is not None}
    if given is None and options.rerank is None:
        if parts:
            raise UsageError(f"{next(iter(parts))} goes with hybrid or rerank")
        return None
    from lsr.query.hybrid.settings import hybrid_with

    return hybrid_with(given, **parts)
