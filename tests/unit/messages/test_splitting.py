"""Splitting: the parts tell the whole text, each of them fits, and they end where a reader would pause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.messages.lengths import Counting
from chalicelib.messages.splitting import split

TEXTS = st.lists(
    st.one_of(st.text(max_size=30), st.sampled_from([" ", "\n", "\n\n", ". ", "! ", "。 ", "？", "\u3000", "\r\n"])),  # noqa: RUF001
    max_size=40,
).map("".join)
LENGTHS = st.integers(min_value=1, max_value=60)


def bare(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())


@given(TEXTS, LENGTHS)
def test_each_part_fits(text, length_max):
    """No provider refuses a part for its length."""
    parts = split(text, length_max)

    assert all(len(part) <= length_max for part in parts)


@given(TEXTS, LENGTHS)
def test_the_parts_tell_the_whole_text_in_its_order(text, length_max):
    """Nothing but white space is lost between two parts."""
    parts = split(text, length_max)

    assert bare("".join(parts)) == bare(text)


@given(TEXTS, LENGTHS)
def test_there_is_a_part_and_none_is_empty_unless_the_text_is(text, length_max):
    """No provider is asked to send nothing."""
    parts = split(text, length_max)

    assert parts
    assert all(parts) == bool(text)


@given(TEXTS)
def test_a_text_that_fits_is_one_part_as_it_is(text):
    """White space and all."""
    parts = split(text, max(Counting.UTF_16.units(text), 1))

    assert parts == [text]


@pytest.mark.parametrize(("length", "expected"), [(1_600, [1_600]), (1_601, [1_600, 1]), (3_200, [1_600, 1_600])])
def test_a_word_that_is_longer_than_a_message_is_cut_at_the_bound(length, expected):
    """Exactly 1600 characters are one message; one more are two."""
    text = "x" * length

    parts = split(text, 1_600)

    assert [len(part) for part in parts] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two. Three four.", ["One two.", "Three four."]),
        ("One two! Three four.", ["One two!", "Three four."]),
        ("One two… Three four.", ["One two…", "Three four."]),
        ("One. Two. Three four.", ["One. Two.", "Three four."]),
        ("One two\nthree four", ["One two", "three four"]),
        ("One. two\n\nthree. four", ["One. two", "three. four"]),
        ("一二三四五六七。 八九十", ["一二三四五六七。", "八九十"]),
        ("一二三四五六七？\u3000八九十", ["一二三四五六七？", "八九十"]),  # noqa: RUF001
        ("一二三四五六七。八九十百千", ["一二三四五六七。", "八九十百千"]),
        ("一二三四五六七八九十百。千", ["一二三四五六七八九十百", "。千"]),
        ("one two three four", ["one two", "three four"]),
        ("3.1415 is 2.71 no", ["3.1415 is", "2.71 no"]),
    ],
    ids=[
        "sentence",
        "exclamation",
        "ellipsis",
        "the last sentence that fits",
        "line",
        "a paragraph before a sentence",
        "full-width stop",
        "full-width question mark",
        "full-width stop with nothing after it",
        "full-width stop just beyond the bound",
        "word",
        "a point inside a number is no end",
    ],
)
def test_a_part_ends_where_a_reader_would_pause(text, expected):
    """After a paragraph, a sentence or a word, in this order of liking."""
    parts = split(text, 11)

    assert parts == expected


def test_a_pause_that_would_leave_a_short_part_is_not_taken():
    """A sentence of two letters does not make a message of its own where words would fill one."""
    text = "Hi. This is a much longer sentence."

    parts = split(text, 20)

    assert parts[0] == "Hi. This is a much"


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_an_empty_text_is_one_part(text):
    """A reply of media alone is one message."""
    parts = split(text, 1_600)

    assert parts == [text]
