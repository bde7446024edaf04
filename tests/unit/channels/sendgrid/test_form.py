"""The delimiters of a form are found wherever they stand, among whatever bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.channels.sendgrid import form
from chalicelib.errors import Rejected

DELIMITER = b"\r\n--xYzZY"
LETTERS = [bytes([one]) for one in sorted(set(DELIMITER))]
SIZES = [1, 2, len(DELIMITER), 64, 4_096]
"""Of a block: delimiters stand across its end, and blocks have fewer and more carriage returns than are looked at."""


@pytest.mark.parametrize("size", SIZES)
@given(
    pieces=st.lists(
        st.sampled_from([*LETTERS, b"words", DELIMITER, DELIMITER[:-1], b"\r" * 40, b"-" * 300 + b"\r"]), max_size=60
    )
)
def test_every_delimiter_is_found_in_its_order(size: int, pieces: list[bytes]):
    """Among its own letters, its own beginnings, and line ends."""
    body = b"".join([*pieces, DELIMITER])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(form, "_BLOCK_BYTES", size)
        found = form._delimiters(DELIMITER, body)

    assert found == [one.start() for one in re.finditer(re.escape(DELIMITER), body)]


@pytest.mark.parametrize("filler", [b"", b"\r" * 20], ids=["few line ends", "many"])
def test_a_form_of_more_parts_than_are_read_is_refused(filler: bytes):
    """Whichever way it is searched."""
    with pytest.raises(Rejected, match="more than 1000 parts"):
        form._delimiters(DELIMITER, filler + DELIMITER * 1_001)


def test_a_form_without_a_delimiter_is_refused():
    """Its end would be missing."""
    with pytest.raises(Rejected, match="terminator"):
        form._delimiters(DELIMITER, b"hello\r\n--xYzZ")
