"""The filter language: a text like `year >= 2020 and lang == 'en'` into a tree. Nothing of it is evaluated here.

A filter is an expression of Python's grammar (`and`, `or`, `not`, comparisons, `in`, parentheses) with `contains`,
`exists`, `~` (holds the words), `=` for `==`, `true`, `false`, and dates without quotes. The text is split into tokens,
whose order a table of states checks; the standard library's `ast` then groups placeholders of them, so that no text of
a user is compiled.

value := number | 'text' | "text" | date (2020-01-31, 2020-01-31T12:00) | true | false
name  := letters, digits, "_", "-", "."; any other name is in `backticks`
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lsr.io.python_syntax import parse_expression
from lsr.query.filters.tree import (
    Both,
    Comparison,
    Contains,
    Date,
    Exists,
    FilterError,
    Holds,
    Name,
    Node,
    Not,
    OneOf,
    Value,
)

LONGEST = 10_000
"""Characters of a filter."""
DEEPEST = 50
"""Parentheses and negations inside each other."""
MOST_DIGITS = 300
"""Characters of a number: as many as a double can have."""

_KEYWORDS = frozenset({"and", "or", "not", "in", "contains", "exists"})
_TRUTH = {"true": True, "false": False}
_DATE = r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<date>{_DATE})(?![\w.])
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d][\w.\-]*)
    | (?P<comparison>==|!=|<=|>=|<|>|=|~)
    | (?P<sign>[(),])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)

_STATES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "operand": (
        {"name": "field", "value": "constant", "not": "operand", "exists": "exists", "(": "operand"},
        "a field, 'not', 'exists' or '(' expected",
    ),
    "field": (
        {"comparison": "value", "contains": "value", "in": "list", "not": "not in"},
        "an operator expected: ==, !=, <, <=, >, >=, ~, in, contains",
    ),
    "value": ({"value": "done"}, "a value expected"),
    "not in": ({"in": "list"}, "'in' expected"),
    "list": ({"(": "item"}, "'(' expected"),
    "item": ({"value": "more"}, "a value expected"),
    "more": ({",": "item", ")": "done"}, "')' expected"),
    "constant": (
        {"in": "member"},
        "'in' and a field expected after a value; comparisons begin with the field",
    ),
    "member": ({"name": "done"}, "the name of a field expected"),
    "exists": ({"name": "done", "(": "exists ("}, "the name of a field expected"),
    "exists (": ({"name": "exists )"}, "the name of a field expected"),
    "exists )": ({")": "done"}, "')' expected"),
    "done": ({"and": "operand", "or": "operand", ")": "done", "end": "end"}, "'and', 'or' or the end expected"),
}
"""Tokens that may come next, by state, with the state after each; and the message for any other."""

HOLDS = "~"
_PYTHON = {"name": "name", "value": "0", "contains": "is", "exists": "~", "=": "==", HOLDS: "=="}
"""Stand-ins for tokens in the expression that `ast` reads: `is` and `~` are not of the language otherwise."""


class _Token(NamedTuple):
    """A piece of a filter. kind: `name`, `value`, `comparison`, `end`, or the keyword or sign itself."""

    kind: str
    text: str
    position: int
    value: Any = None


def parse_filter(text: str) -> Node:
    """Return the tree of a filter. Raises FilterError naming the place where it can't be understood."""
    if len(text) > LONGEST:
        raise FilterError(text, LONGEST, f"the filter has {len(text):,} characters; the limit is {LONGEST:,}")
    tokens = list(_tokens(text))
    _check_order(text, tokens)
    _check_depth(text, tokens)
    # A line a token, so that a node's line says which token it begins with.
    lines = [_PYTHON.get(token.text if token.kind == "comparison" else token.kind, token.text) for token in tokens]
    expression = parse_expression("(" + "\n".join(lines) + ")")
    return _Tree(tokens).node(expression)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            what = "a text that does not end" if text[at] in "'\"`" else f"{text[at]!r} not understood"
            raise FilterError(text, at, what)
        kind = str(match.lastgroup)
        yield _token(text, kind, match[kind], match.start(kind))
        if kind == "end":
            return
        at = match.end()


def _token(whole: str, kind: str, text: str, position: int) -> _Token:
    match kind:
        case "word" if text.lower() in _KEYWORDS:
            return _Token(text.lower(), text.lower(), position)
        case "word" if text.lower() in _TRUTH:
            return _Token("value", text, position, _TRUTH[text.lower()])
        case "word" | "quoted":
            return _Token("name", text, position, text.strip("`") if kind == "quoted" else text)
        case "comparison" | "end":
            return _Token(kind, text, position)
        case "sign":
            return _Token(text, text, position)
        case "number":
            if len(text) > MOST_DIGITS:
                raise FilterError(whole, position, f"a number of {len(text):,} characters; the limit is {MOST_DIGITS}")
            return _Token("value", text, position, int(text) if text.lstrip("+-").isdecimal() else float(text))
        case "date":
            date = as_date(text)
            if date is None:
                raise FilterError(whole, position, f"there is no date {text}")
            return _Token("value", text, position, date)
        case _:
            value = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise FilterError(whole, position, "the text has bytes that are not UTF-8; no field can hold them")
            return _Token("value", text, position, value)


def _check_order(text: str, tokens: Sequence[_Token]) -> None:
    state, n_open = "operand", 0
    for token in tokens:
        following, message = _STATES[state]
        n_open += (token.kind == "(" and state == "operand") - (token.kind == ")" and state == "done")
        if n_open > 0 and token.kind == "end" and state == "done":
            raise FilterError(text, token.position, "')' expected")
        if token.kind not in following or n_open < 0:
            if state == "done":
                message += f", not {token.text!r}"
            elif token.kind == "name" and state in ("value", "item"):
                message += f", not a name; a text is put in quotes: '{token.text}'"
            raise FilterError(text, token.position, message)
        state = following[token.kind]


def _check_depth(text: str, tokens: Sequence[_Token]) -> None:
    """Raise FilterError where parentheses and negations are too deep inside each other."""
    depths = [0]
    """Depth around each open parenthesis; last, with the negations before the next operand."""
    for token in tokens:
        if token.kind == "not":
            depths[-1] += 1
        elif token.kind == "(":
            depths.append(depths[-1] + 1)
        elif token.kind == ")":
            depths.pop()
            depths[-1] = depths[-2] + 1 if len(depths) > 1 else 0
        elif token.kind in ("and", "or"):
            depths[-1] = depths[-2] + 1 if len(depths) > 1 else 0
        if depths[-1] > DEEPEST:
            raise FilterError(text, token.position, f"more than {DEEPEST} parentheses or negations inside each other")


class _Tree:
    """The tree of an expression whose nodes stand for tokens, by their line."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens

    def node(self, node: ast.expr) -> Node:
        """Return the filter's node for one of Python's."""
        match node:
            case ast.BoolOp():
                operator = "and" if isinstance(node.op, ast.And) else "or"
                return Both(operator, tuple(map(self.node, node.values)))
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.node(node.operand))
            case ast.UnaryOp():
                return Exists(self._name(node.operand))
            case ast.Compare(ops=[ast.In()], left=ast.Constant()):
                return Contains(self._name(node.comparators[0]), self._value(node.left))
            case ast.Compare(ops=[ast.Is()]):
                return Contains(self._name(node.left), self._value(node.comparators[0]))
            case ast.Compare(ops=[ast.In() | ast.NotIn()]):
                (values,) = node.comparators
                listed = values.elts if isinstance(values, ast.Tuple) else [values]
                found = OneOf(self._name(node.left), tuple(map(self._value, listed)))
                return Not(found) if isinstance(node.ops[0], ast.NotIn) else found
            case ast.Compare():
                operator = self._tokens[node.left.lineno].text
                if operator == HOLDS:
                    return Holds(self._name(node.left), self._value(node.comparators[0]))
                return Comparison(
                    self._name(node.left), _PYTHON.get(operator, operator), self._value(node.comparators[0])
                )
        raise AssertionError(ast.dump(node))

    def _name(self, node: ast.expr) -> Name:
        token = self._tokens[node.lineno - 1]
        return Name(token.value, token.position)

    def _value(self, node: ast.expr) -> Value:
        token = self._tokens[node.lineno - 1]
        return Value(token.value, token.position)


def as_date(text: str) -> Date | None:
    """Return the date that a text is, or None."""
    from lsr.indexer.storage.fields import parse_date

    found = parse_date(text)
    return None if found is None else Date(found, len(text) == len("2020-01-31"))
