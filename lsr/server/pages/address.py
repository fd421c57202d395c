"""Addresses of the search page: every option of a search is in them, so that they can be shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from lsr.errors import UsageError
from lsr.query.options import SearchOptions, option_spec, option_specs

FACET = "f."
"""Begins the name of a parameter that asks for a field's value: `f.year=2020`."""
LONGEST_QUERY, MOST_PARAMETERS = 10_000, 60
SERVED_OPTIONS = tuple(option.name for option in option_specs() if not option.spec.local)


@dataclass(frozen=True, slots=True)
class Address:
    """What the page's address asks for.

    base: path of the page, ending in "/". given: search options, as they are written. chosen: fields and values of the
    facets that were clicked.
    """

    base: str = "/"
    query: str = ""
    given: tuple[tuple[str, str], ...] = ()
    chosen: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return an option as it is written, or an empty text."""
        return dict(self.given).get(name, "")

    def link(self, **changes: str | int | None) -> str:
        """Return the address with other options; None and an empty text leave an option out.

        Anything but `offset` begins at the first page again.
        """
        options: dict[str, str | int | None] = {**dict(self.given), "offset": None, **changes}
        return self._with({name: value for name, value in options.items() if value not in (None, "")}, self.chosen)

    def choose(self, field: str, value: str) -> str:
        """Return the address that also asks for a value of a field, or no longer, if it is chosen already."""
        pair = (field, value)
        chosen = tuple(one for one in self.chosen if one != pair) if self.is_chosen(*pair) else (*self.chosen, pair)
        options = {name: text for name, text in self.given if name != "offset"}
        return self._with(options, chosen)

    def is_chosen(self, field: str, value: str) -> bool:
        """Tell whether a value of a field was clicked."""
        return (field, value) in self.chosen

    def document(self, doc_id: str, passage: tuple[int, int] | None = None) -> str:
        """Return the address of a document's page, which marks the words of the query in it.

        The id is a parameter, not a part of the path, where proxies and browsers would resolve "..", "//" and "%2F".
        """
        fields = {"id": doc_id} | ({"q": self.query} if self.query else {})
        if passage is not None:
            fields["passage"] = f"{passage[0]}-{passage[1]}"
        return f"{self.base}document?{urlencode(fields, errors='replace')}#passage"

    def hidden(self, without: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Return the parameters that a form passes on. without: names of its visible fields."""
        left_out = {*without, "offset"}
        kept = [(name, value) for name, value in self.given if name not in left_out]
        return kept + [(FACET + field, value) for field, value in self.chosen]

    def _with(self, options: Mapping[str, str | int | None], chosen: Sequence[tuple[str, str]]) -> str:
        pairs = [("q", self.query), *options.items(), *((FACET + field, value) for field, value in chosen)]
        return f"{self.base}?{urlencode(pairs, errors='replace')}"


def read_address(pairs: Sequence[tuple[str, str]], *, base: str = "/") -> Address:
    """Return what the parameters of a request ask for. Raises UsageError for an unknown one, or one given twice."""
    if len(pairs) > MOST_PARAMETERS:
        raise UsageError(
            f"the address has {len(pairs)} parameters; the limit is {MOST_PARAMETERS}: choose fewer values"
        )
    address = Address(base)
    seen = set()
    for name, value in pairs:
        if name.startswith(FACET) and len(name) > len(FACET):
            pair = (name.removeprefix(FACET), value)
            if pair not in address.chosen:
                address = replace(address, chosen=(*address.chosen, pair))
            continue
        if name in seen:
            raise UsageError(f"the address has the parameter {name!r} twice; leave one out")
        seen.add(name)
        if name == "q":
            address = replace(address, query=value.strip())
        elif name not in SERVED_OPTIONS:
            raise UsageError(f"the address has an unknown parameter {name!r}; there are q, {', '.join(SERVED_OPTIONS)}")
        elif value.strip():  # a form sends its empty fields, too
            address = replace(address, given=(*address.given, (name, value.strip())))
    if len(address.query) > LONGEST_QUERY:
        raise UsageError(
            f"the query has {len(address.query):,} characters; the limit is {LONGEST_QUERY:,}: ask for less at once"
        )
    return address


def options_of(address: Address, default: SearchOptions) -> SearchOptions:
    """Return the search options of an address. default: those of the server. Raises UsageError."""
    given = {name: option_spec(name).parse(name, text) for name, text in address.given}
    if given.get("sort") and "hybrid" not in given and "approximate" not in given:
        # A sorted list is exact and of the sparse search alone, whatever the server does by default.
        given |= {"hybrid": None, "rerank": None, "approximate": None}
    hybrid = default.hybrid_search
    if hybrid is not None and hybrid.reranker is not None and given.get("hybrid", hybrid.mode) != hybrid.mode:
        given["rerank"] = None  # a reranker scores candidates of the sparse search alone
    return default.replace(**given)
