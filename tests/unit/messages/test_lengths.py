"""How long a text is for a channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.messages.lengths import Counting

TEXTS = st.lists(st.sampled_from(["a", "é", "€", "{", "漢", "😀", " ", "\n"]), max_size=60).map("".join)
LENGTHS = st.integers(min_value=2, max_value=40)


@pytest.mark.parametrize(
    ("text", "sms", "utf_16"),
    [
        ("", 0, 0),
        ("hello", 5, 5),
        ("Grüße à Ñandú", 13, 13),
        ("ú", 1, 1),
        ("5 € {x} [y] ~ \\ ^ |", 28, 19),
        ("漢字", 2, 2),
        ("hello {漢}", 9, 9),
        ("😀", 2, 2),
        ("a😀", 3, 3),
        ("\N{ZERO WIDTH JOINER}", 1, 1),
    ],
)
def test_an_sms_counts_in_its_alphabet_and_everything_else_in_utf_16(text: str, sms: int, utf_16: int):
    """Signs of the extension table count twice; one character outside makes all of an SMS UCS-2."""
    assert (Counting.SMS.units(text), Counting.UTF_16.units(text)) == (sms, utf_16)


@given(TEXTS, LENGTHS, st.sampled_from(Counting))
def test_the_longest_start_fits_and_no_longer_one_does(text: str, units_max: int, counting: Counting):
    """Also where a longer start, in another alphabet, is the shorter one by its count."""
    end = counting.longest_start(text, units_max)

    fitting = [size for size in range(1, len(text) + 1) if counting.units(text[:size]) <= units_max]
    assert end == max(fitting, default=1)
