"""Programming languages: names, suffixes, and the marks of their comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

C, HASH, DASH, LISP, PERCENT = "c", "hash", "dash", "lisp", "percent"
ML, QUOTE, BANG, XML = "ml", "quote", "bang", "xml"
"""Families of comments."""

_STRING = r"\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?"
_DOUBLE = r"\"(?:[^\"\\\n]|\\.)*+\"?"
# Each alternative takes all it can: a comment that is never closed reaches to the end, so that the work is linear.
_COMMENTS = {
    C: rf"(?P<block>/\*(?:[^*]|\*(?!/))*+(?:\*/)?)|(?P<line>//[^\n]*)|{_STRING}|`(?:[^`\\]|\\.)*+`?",
    HASH: rf"(?P<line>\#[^\n]*)|{_STRING}",
    DASH: rf"(?P<block>--\[\[(?:[^\]]|\](?!\]))*+(?:\]\])?|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)|(?P<line>--[^\n]*)|{_STRING}",
    LISP: rf"(?P<block>\#\|(?:[^|]|\|(?!\#))*+(?:\|\#)?)|(?P<line>;[^\n]*)|{_DOUBLE}",
    PERCENT: rf"(?P<line>%[^\n]*)|{_DOUBLE}",
    ML: r"(?P<block>\(\*(?:[^*]|\*(?!\)))*+(?:\*\))?|\{-(?:[^-]|-(?!\}))*+(?:-\})?)|(?P<line>--[^\n]*|//[^\n]*)|"
    + _DOUBLE,
    QUOTE: rf"(?P<line>'[^\n]*)|{_DOUBLE}",
    BANG: rf"(?P<line>![^\n]*)|{_STRING}",
    XML: r"(?P<block><!--(?:[^-]|-(?!->))*+(?:-->)?)",
}
_TRIPLE = (
    r"[rRuUbBfF]{0,2}\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*+(?:\"\"\")?"
    r"|[rRuUbBfF]{0,2}'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"
)
_PYTHON = rf"(?P<block>^[ \t]*+(?:{_TRIPLE}))|{_TRIPLE}|(?P<line>\#[^\n]*)|{_STRING}"


@dataclass(frozen=True, slots=True)
class Language:
    """A language. comments: the family of its comments."""

    name: str
    comments: str
    suffixes: tuple[str, ...]
    file_names: tuple[str, ...] = ()


def _languages() -> tuple[Language, ...]:
    table = f"""
        python python .py .pyi .pyx .pxd .pyw
        c {C} .c .h
        c++ {C} .cpp .cc .cxx .hpp .hh .hxx .ipp .inl .cu .cuh
        c# {C} .cs
        java {C} .java
        javascript {C} .js .mjs .cjs .jsx
        typescript {C} .ts .tsx .mts .cts
        go {C} .go
        rust {C} .rs
        swift {C} .swift
        kotlin {C} .kt .kts
        scala {C} .scala .sbt
        dart {C} .dart
        php {C} .php
        groovy {C} .groovy .gradle
        objective-c {C} .m .mm
        protobuf {C} .proto
        css {C} .css .scss .sass .less
        zig {C} .zig
        verilog {C} .v .sv .svh
        glsl {C} .glsl .frag .vert .comp .hlsl .wgsl .metal
        solidity {C} .sol
        d {C} .d
        json5 {C} .json5 .jsonc
        ruby {HASH} .rb .rake .gemspec
        perl {HASH} .pl .pm .pod
        shell {HASH} .sh .bash .zsh .fish .ksh .bats
        r {HASH} .r
        julia {HASH} .jl
        elixir {HASH} .ex .exs
        nim {HASH} .nim
        crystal {HASH} .cr
        tcl {HASH} .tcl
        awk {HASH} .awk
        powershell {HASH} .ps1 .psm1 .psd1
        toml {HASH} .toml
        ini {HASH} .ini .cfg .conf .properties .env .editorconfig
        cmake {HASH} .cmake
        make {HASH} .mk .mak
        terraform {HASH} .tf .tfvars .hcl
        nix {HASH} .nix
        starlark {HASH} .bzl .star .bazel
        graphql {HASH} .graphql .gql
        coffeescript {HASH} .coffee
        sql {DASH} .sql .ddl
        lua {DASH} .lua
        ada {DASH} .adb .ads
        vhdl {DASH} .vhd .vhdl
        lisp {LISP} .lisp .cl .el .scm .rkt .clj .cljs .cljc .edn
        assembly {LISP} .asm .s
        erlang {PERCENT} .erl .hrl
        prolog {PERCENT} .pro .prolog
        tex-style {PERCENT} .sty .cls .bib .bst
        haskell {ML} .hs .lhs
        ocaml {ML} .ml .mli .mll .mly
        f# {ML} .fs .fsi .fsx
        elm {ML} .elm
        coq {ML} .coq
        fortran {BANG} .f90 .f95 .f03 .f .for
        basic {QUOTE} .vb .vbs .bas
        vue {XML} .vue .svelte
        template {XML} .jinja .jinja2 .j2 .tmpl .mustache .hbs .ejs .erb .twig .xsl .xslt .xsd .dtd .wsdl
    """
    names = {"make": ("makefile", "gnumakefile"), "cmake": ("cmakelists.txt",)}
    names["ruby"] = ("gemfile", "rakefile")
    rows = [line.split() for line in table.strip().split("\n")]
    return (
        *(Language(row[0], row[1], tuple(row[2:]), names.get(row[0], ())) for row in rows),
        Language("dockerfile", HASH, (".dockerfile",), ("dockerfile", "containerfile")),
    )


LANGUAGES = _languages()


@cache
def language_of(name: str) -> Language:
    """Return the language of a file by its name in lower case. Each suffix of the format has one."""
    for language in LANGUAGES:
        if name in language.file_names or any(name.endswith(suffix) for suffix in language.suffixes):
            return language
    raise KeyError(name)


@cache
def comments_of(family: str) -> re.Pattern[str]:
    """Return the pattern of a family: groups `block` and `line` are comments, all else it matches is skipped."""
    return re.compile(_PYTHON if family == "python" else _COMMENTS[family], re.DOTALL | re.MULTILINE)
