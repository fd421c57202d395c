"""Rendering of pages: templates in which every value is escaped, and the policies that no page can break."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).resolve().parent
# What HTML can't hold, what turns the direction of text around it, and what UTF-8 can't write.
_IMPOSSIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

SERVED_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of served pages: files of this server alone, and nothing inline."""
ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
"""The files that served pages load, with their media types."""


def possible(text: str) -> str:
    """Return a text with U+FFFD for the characters that HTML can't hold."""
    return _IMPOSSIBLE.sub("\ufffd", text)


def render(template: str, /, **context: Any) -> str:
    """Return a page. template: name of a file in `templates`. context: its values, escaped where they are used."""
    return environment().get_template(template).render(**context)


@cache
def asset(name: str) -> bytes:
    """Return a file of `ASSETS`. Raises KeyError for any other name, so that no request reads another file."""
    return (FOLDER / "assets" / name).read_bytes() if name in ASSETS else {}[name]


@cache
def asset_version() -> str:
    """Return a key of the assets' contents, so that browsers may keep them as long as it is in the address."""
    return sha256(b"".join(map(asset, ASSETS))).hexdigest()[:12]


@cache
def saved_policy() -> str:
    """Return the Content-Security-Policy of pages saved as files: their style sheet alone, by its digest."""
    digest = b64encode(sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def style() -> str:
    """Return the style sheet of all pages."""
    return asset("page.css").decode()


@cache
def environment() -> Environment:
    """Return the environment of the templates: every value is escaped, an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from lsr.output.explained import number
    from lsr.output.numbers import counted
    from lsr.output.results import value_text

    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: possible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "counted": counted, "value": value_text, "sentence": _sentence}
    # The style sheet is the one text that goes in unescaped: it is a file of the package.
    made.globals |= {"style": lambda: Markup(style()), "saved_policy": saved_policy, "version": asset_version}  # noqa: S704
    return made


def _sentence(message: str) -> str:
    """Return a message of an error as a sentence."""
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")
