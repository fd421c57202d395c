"""Makes hostile `tokenizer.json` files: each is a sound tokenizer with one change."""

from __future__ import annotations

import base64
import copy
import json
import random
from typing import Any

TOKENS = {"[UNK]": 0, "[CLS]": 1, "cat": 2, "##s": 3, "a": 4}
A, B = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")


def sound() -> dict[str, Any]:
    """Return a small tokenizer that is as it should be."""
    added = {"content": "[UNK]", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": 0, "special": True, **added}],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": template([A]),
        "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": dict(TOKENS),
        },
    }  # fmt: skip


def template(single: list[Any], **special: list[int]) -> dict[str, Any]:
    tokens = {name: {"id": name, "ids": ids, "tokens": [name] * len(ids)} for name, ids in special.items()}
    return {"type": "TemplateProcessing", "single": single, "pair": [A, B], "special_tokens": tokens}


def special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def replacing(pattern: str, content: str, kind: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def in_order(kind: str, steps: list[Any]) -> dict[str, Any]:
    return {"type": "Sequence", kind: steps}


def splitting(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def table(
    *, base: int = 256, leaf: int = 512, value: int = 2, n_units: int = 768, replacements: bytes = b"x\0cat\0"
) -> bytes:
    """Return a SentencePiece table that replaces "A" by the text at `value`. base, leaf: places of its two nodes."""
    units = [0] * n_units
    letter = ord("A")
    units[0] = base << 10
    place = base ^ letter
    if place < n_units:
        units[place] = (place ^ leaf) << 10 | 1 << 8 | letter
    if leaf < n_units:
        units[leaf] = 1 << 31 | value
    return (4 * n_units).to_bytes(4, "little") + b"".join(u.to_bytes(4, "little") for u in units) + replacements


def with_table(charsmap: bytes) -> str:
    return changed(normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()})


TABLES: dict[str, bytes] = {
    "nothing": b"\0" * 3,
    "no trie": b"\0" * 4 + b"cat\0",
    "half a unit": (3070).to_bytes(4, "little") + table()[4:],
    "a size beyond the end": (1 << 31).to_bytes(4, "little") + table()[4:],
    "a node outside": table(base=1 << 20),
    "a node at the end": table(base=768),
    "a value's node outside": table(leaf=1 << 20),
    "a value outside": table(value=1 << 30),
    "a value within a character": table(value=3, replacements=b"x\0\xc3\xa9\0"),
    "replacements that are not UTF-8": table(replacements=b"x\0\xff\0"),
    "a long replacement": table(replacements=b"x\0" + b"a" * 1000 + b"\0"),
    "a large table": table(replacements=b"x\0cat\0" * (1 << 20)),
}
"""Tables of replacements that no writer makes."""


def bpe(prefix: str, merges: list[Any], vocab: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": prefix,
        "end_of_word_suffix": None, "fuse_unk": False,
        "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": merges,
    }  # fmt: skip


def changed(**parts: Any) -> str:
    return json.dumps(sound() | parts)


def with_model(**values: Any) -> str:
    return changed(model=sound()["model"] | values)


def added(**values: Any) -> str:
    token = sound()["added_tokens"][0]
    return changed(added_tokens=[token, token | values])


def nested(depth: int) -> dict[str, Any]:
    step: dict[str, Any] = {"type": "Lowercase"}
    for _ in range(depth):
        step = in_order("normalizers", [step])
    return step


HOSTILE = {
    "no JSON": "{",
    "no object": "[1, 2]",
    "no model": '{"version": "1.0"}',
    "braces without end": '{"a":' * 100_000,
    "many values": "[" + "0," * (1 << 22) + "0]",
    "a name twice": '{"model": {}, "model": {"vocab": {}}}',
    "a text doubled in many steps": changed(normalizer=in_order("normalizers", [replacing("a", "aa")] * 34)),
    "much put between all characters": changed(normalizer=replacing("", "x" * 1000)),
    "much made of a pattern": changed(normalizer=replacing(".", "x" * 1000, "Regex")),
    "much put before a text": changed(normalizer={"type": "Prepend", "prepend": "x" * 100_000}),
    "thousands of steps": changed(normalizer=in_order("normalizers", [{"type": "NFKD"}] * 20_000)),
    "steps deep within each other": changed(normalizer=nested(80)),
    "a pattern that backtracks": changed(normalizer=replacing("(a+)+$", "b", "Regex")),
    "alternatives repeated": changed(pre_tokenizer=splitting("(a|a)*b")),
    "repetitions in a row": changed(pre_tokenizer=splitting("a*a*a*a*b")),
    "copies of copies": changed(pre_tokenizer=splitting("((a{1000}){1000}){1000}")),
    "a pattern that calls itself": changed(pre_tokenizer=splitting(r"(a\g<1>?)b")),
    "a pattern of no form": changed(pre_tokenizer=splitting("(")),
    "a table cut": changed(normalizer={"type": "Precompiled", "precompiled_charsmap": "AA=="}),
    "a table that says too much": changed(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////w=="}),
    "a huge id": with_model(vocab=TOKENS | {"dog": 2**32 - 1}),
    "an id below 0": with_model(vocab=TOKENS | {"dog": -1}),
    "an id that is no number": with_model(vocab=TOKENS | {"dog": "5"}),
    "an endless token": with_model(vocab=TOKENS | {"x" * 100_000: 5}),
    "words without end": with_model(max_input_chars_per_word=10**9),
    "a huge added id": added(id=4 * 10**9, content="dog"),
    "an added token of no text": added(id=5, content=7),
    "a special id outside the model": changed(post_processor=template([special("[CLS]"), A], **{"[CLS]": [4 * 10**9]})),
    "an id of RoBERTa's outside the model": changed(
        post_processor={"type": "RobertaProcessing", "sep": ["x", 2**32 - 1], "cls": ["y", 0], "trim_offsets": True,
                        "add_prefix_space": True}
    ),
    "a special token that isn't there": changed(post_processor=template([special("[CLS]"), A])),
    "a text put twice": changed(post_processor=template([A, A])),
    "thousands of special tokens": changed(post_processor=template([special("[CLS]"), A], **{"[CLS]": [1] * 100_000})),
    "filled up without end": changed(padding={"strategy": {"Fixed": 10**11}, "direction": "Right", "pad_id": 0}),
    "cut at a stride beyond all": changed(truncation={"max_length": 1, "stride": 10**12}),
    "merges shorter than their prefix": changed(model=bpe("##########", [["a", "b"]], {"a": 0, "b": 1, "ab": 2})),
    "merges cut within a character": changed(model=bpe("#", [["a", "é"]], {"a": 0, "é": 1, "aé": 2})),
}  # fmt: skip
"""By what is wrong with each."""


def forged(seed: int) -> str:
    """Return a tokenizer with some of its values replaced by others at random."""
    source = random.Random(seed)
    model = source.choice([sound()["model"], bpe("##", [["a", "##s"]], {"a": 0, "##s": 1, "as": 2, "[UNK]": 3})])
    values = sound() | {"model": model}
    values["normalizer"] = in_order("normalizers", [replacing("a", "b"), {"type": "NFKC"}])
    values["pre_tokenizer"] = in_order("pretokenizers", [splitting(r"\s+"), {"type": "Punctuation"}])
    for _ in range(source.randint(1, 4)):
        holder, key = source.choice(list(_places(values)))
        holder[key] = copy.deepcopy(source.choice(_OTHERS))
    return json.dumps(values)


_OTHERS: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 1e308, "", "a", "é", "\ud800", "##", "a" * 5000, "(", "a*", [], {}, [[]],
    {"": {}},
    {"type": "Sequence"}, {"Regex": "a{"}, {"String": ""}, ["a", "b"], {"type": "ByteLevel"}, {"type": "Unigram"},
]  # fmt: skip


def _places(values: Any) -> Any:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield values, key
        yield from _places(value)
