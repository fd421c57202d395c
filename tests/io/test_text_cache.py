"""A cache of texts stays within its bound and keeps what is asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lsr.io.text_cache import TextCache


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80))
def test_a_cached_value_is_that_of_its_text_and_the_texts_stay_few(steps: list[tuple[bool, int]]) -> None:
    cache: TextCache[int] = TextCache(40)
    for is_put, number in steps:
        text = "x" * number
        if is_put:
            cache.put(text, number)
            assert cache.get(text) == number
        else:
            assert cache.get(text) in (None, number)
        held = {*cache._newer, *cache._older}
        assert sum(map(len, held)) <= 40


def test_a_text_that_is_asked_for_again_and_again_stays() -> None:
    cache: TextCache[str] = TextCache(100)
    cache.put("often", "kept")
    for number in range(1000):
        cache.put(f"text {number}", "")
        assert cache.get("often") == "kept"
    assert cache.get("text 0") is None
