"""The language of filters: a text like `year >= 2020 and lang == 'en'` into a tree. Nothing of it is evaluated here.

filter     := all ("or" all)*
all        := one ("and" one)*
one        := "not" one | "(" filter ")" | "exists" NAME | test
test       := NAME OPERATOR value | NAME ["not"] "in" "(" value ("," value)* ")" | NAME "contains" value
            | value "in" NAME
OPERATOR   := "==" | "=" | "!=" | "<" | "<=" | ">" | ">="
value      := number | 'text' | "text" | date (2020-01-31, 2020-01-31T12:00) | true | false
NAME       := letters, digits, "_", "-", "."; any other name stands in `backticks`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from lsr.errors import UsageError

LONGEST = 10_000
"""Characters of a filter."""
DEEPEST = 50
"""Parentheses and negations inside each other."""
OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "=")
KEYWORDS = frozenset({"and", "or", "not", "in", "contains", "exists", "true", "false"})


class FilterError(UsageError):
    """A filter can't be understood, or doesn't fit the index. detail: the filter with a mark below the place."""

    def __init__(self, filter_text: str, position: int, message: str) -> None:
        super().__init__(f"filter, column {position + 1}: {message}")
        shown = "".join(character if character.isprintable() else " " for character in filter_text)
        begin, end = max(0, position - 60), position + 60
        self.detail = f"  {shown[begin:end]}\n  {' ' * (position - begin)}^"


class Date(NamedTuple):
    """A point in time, UTC; or a whole day."""

    start: datetime
    whole_day: bool


@dataclass(frozen=True, slots=True)
class Value:
    """A constant of a filter. value: bool, int, float, str or Date."""

    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    """A field of a filter."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`; the operator is one of OPERATORS but "="."""

    field: Name
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """`field in (values)`."""

    field: Name
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """`field contains value`, `value in field`."""

    field: Name
    value: Value


@dataclass(frozen=True, slots=True)
class Exists:
    """`exists field`."""

    field: Name


@dataclass(frozen=True, slots=True)
class Not:
    """What a filter does not allow."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Both:
    """`every and every …`, or `any or any …`."""

    operator: str
    parts: tuple[Node, ...]


Node = Comparison | OneOf | Contains | Exists | Not | Both

_DATE = r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<date>{_DATE})(?![\w.])
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d][\w.\-]*)
    | (?P<operator>==|!=|<=|>=|<|>|=|\(|\)|,)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse_filter(text: str) -> Node:
    """Return the tree of a filter. Raises FilterError naming the place where it can't be understood."""
    if len(text) > LONGEST:
        raise FilterError(text, LONGEST, f"the filter has {len(text):,} characters; the limit is {LONGEST:,}")
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over the tokens of a filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._tokens = self._split()
        self._at = 0

    def _split(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(self._text, at)
            if match is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                what = "a text that does not end" if self._text[at] in "'\"`" else f"{self._text[at]!r} not understood"
                raise FilterError(self._text, at, what)
            kind = str(match.lastgroup)
            token = _Token(kind, match[kind], match.start(kind))
            if kind == "word" and token.text.lower() in KEYWORDS:
                token = token._replace(kind="keyword", text=token.text.lower())
            tokens.append(token)
            at = match.end()
        return tokens

    def parse(self) -> Node:
        node = self._any()
        if self._next.kind != "end":
            self._refuse(f"'and', 'or' or the end expected, not {self._next.text!r}")
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _refuse(self, message: str) -> NoReturn:
        raise FilterError(self._text, self._next.position, message)

    def _take(self, *texts: str) -> bool:
        """Pass over an operator or keyword if it is next."""
        found = self._next.kind in ("keyword", "operator") and self._next.text in texts
        self._at += found
        return found

    def _due(self, text: str) -> None:
        if not self._take(text):
            self._refuse(f"{text!r} expected")

    def _any(self) -> Node:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Both("or", tuple(parts))

    def _all(self) -> Node:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Both("and", tuple(parts))

    def _one(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"more than {DEEPEST} parentheses or negations inside each other")
        node = self._inner()
        self._depth -= 1
        return node

    def _inner(self) -> Node:
        if self._take("not"):
            return Not(self._one())
        if self._take("("):
            node = self._any()
            self._due(")")
            return node
        if self._take("exists"):
            return self._exists()
        if self._next.kind in ("word", "quoted"):
            return self._test(self._name())
        value = self._value("a field, 'not', 'exists' or '(' expected")
        if not self._take("in"):
            self._refuse("'in' and a field expected after a value; comparisons begin with the field")
        return Contains(self._name(), value)

    def _exists(self) -> Node:
        parenthesis = self._take("(")
        node = Exists(self._name())
        if parenthesis:
            self._due(")")
        return node

    def _test(self, field: Name) -> Node:
        if self._take("contains"):
            return Contains(field, self._value("a value expected"))
        if self._take("not"):
            self._due("in")
            return Not(self._one_of(field))
        if self._take("in"):
            return self._one_of(field)
        operator = self._next.text
        if not self._take(*OPERATORS):
            self._refuse("an operator expected: ==, !=, <, <=, >, >=, in, contains")
        return Comparison(field, "==" if operator == "=" else operator, self._value("a value expected"))

    def _one_of(self, field: Name) -> Node:
        self._due("(")
        values = [self._value("a value expected")]
        while self._take(","):
            values.append(self._value("a value expected"))
        self._due(")")
        return OneOf(field, tuple(values))

    def _name(self) -> Name:
        kind, text, position = self._next
        if kind not in ("word", "quoted"):
            self._refuse("the name of a field expected")
        self._at += 1
        return Name(text.strip("`") if kind == "quoted" else text, position)

    def _value(self, expected: str) -> Value:
        kind, text, position = self._next
        if kind == "word":
            self._refuse(f"{expected}, not a name; a text stands in quotes: '{text}'")
        if kind == "keyword" and text in ("true", "false"):
            value: Any = text == "true"
        elif kind == "number":
            value = int(text) if text.lstrip("+-").isdigit() else float(text)
        elif kind == "text":
            value = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        elif kind == "date":
            value = as_date(text)
            if value is None:
                self._refuse(f"there is no date {text}")
        else:
            self._refuse(expected)
        self._at += 1
        return Value(value, position)


def as_date(text: str) -> Date | None:
    """Return the date that a text is, or None."""
    from lsr.indexer.storage.fields import parse_date

    found = parse_date(text)
    return None if found is None else Date(found, len(text) == len("2020-01-31"))
