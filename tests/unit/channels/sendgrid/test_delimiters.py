"""The delimiters of a form are found wherever they stand, among whatever bytes."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.channels.sendgrid import delimiters
from chalicelib.channels.sendgrid.delimiters import BLOCK_BYTES, find_delimiters, find_others
from tests.emails import first

DELIMITER = b"\r\n--xYzZY"
LETTERS = [bytes([one]) for one in sorted(set(DELIMITER))]
SIZES = [1, 2, len(DELIMITER), 64, 4_096]
"""Of a block: delimiters stand across its end, and blocks have fewer and more of each letter than are looked at."""


def expected(body: bytes, delimiter: bytes = DELIMITER) -> list[int]:
    return [one.start() for one in re.finditer(re.escape(delimiter), body)]


@pytest.mark.parametrize("size", SIZES)
@given(
    pieces=st.lists(
        st.sampled_from(
            [*LETTERS, *(one * 40 for one in LETTERS), b"words", DELIMITER, DELIMITER[:-1], b"-" * 300 + b"\r"]
        ),
        max_size=60,
    )
)
def test_every_delimiter_is_found_in_its_order(size: int, pieces: list[bytes]):
    """Among its own letters, its own beginnings, and line ends."""
    body = b"".join([*pieces, DELIMITER])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimiters, "BLOCK_BYTES", size)
        found = find_delimiters(DELIMITER, body, count_max=1_000)

    assert (found.places, found.unsearched) == (tuple(expected(body)), ())


def test_of_more_delimiters_than_are_read_enough_are_found():
    """The caller refuses them."""
    found = find_delimiters(DELIMITER, b"\r" * 20 + DELIMITER * 20_000, count_max=1_000)

    assert 1_000 < len(found.places) < 1_100


def content(name: str, seed: int = 1) -> bytes:
    """Two megabytes of bytes of one sort."""
    chance, size = random.Random(seed), 2 << 20  # noqa: S311 - no secret
    match name:
        case "a photo":
            return chance.randbytes(size)
        case "text":
            return b"The quick brown fox jumps over the lazy dog.\r\n" * (size // 46)
        case "base64":
            return (b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpab29nYXNkZg" * 2)[:76].join([b"\r\n"] * (size // 78))
        case "a table":
            return (b"-" * 70 + b"\r\n") * (size // 72)
        case _:
            letters = bytes(DELIMITER[one % len(DELIMITER)] for one in range(256))
            return chance.randbytes(size).translate(letters)


@pytest.mark.parametrize("name", ["a photo", "text", "base64", "a table"])
def test_under_the_limit_ordinary_content_is_searched_whole(name: str):
    """So an ordinary e-mail has one reading before it is verified, and no other after."""
    body = content(name) + DELIMITER

    found = find_delimiters(DELIMITER, body, count_max=1_000, sample_start=first)

    assert (found.places, found.unsearched) == (tuple(expected(body)), ())


def test_under_the_limit_bytes_of_the_delimiter_s_letters_are_left_unsearched_in_part():
    """Looks are counted in advance, so it is no matter of a machine's speed."""
    dense = content("letters")
    body = b"words" + DELIMITER + dense + DELIMITER + b"words" + DELIMITER

    found = find_delimiters(DELIMITER, body, count_max=1_000, sample_start=first)

    left_out = sum(end - start for start, end in found.unsearched)
    assert len(body) / 2 < left_out < len(body)
    assert {5, len(body) - len(DELIMITER)} <= set(found.places) <= set(expected(body))


@pytest.mark.parametrize("name", ["letters", "a table"])
def test_under_the_limit_a_small_body_is_searched_whole(name: str):
    """Whatever it holds: that takes less than a millisecond."""
    body = content(name)[:330_000] + DELIMITER

    found = find_delimiters(DELIMITER, body, count_max=1_000, sample_start=first)

    assert (found.places, found.unsearched) == (tuple(expected(body)), ())


@pytest.mark.parametrize("name", ["a photo", "letters", "a table"])
def test_the_others_are_found_where_the_limit_left_blocks_out(name: str):
    """Together they are all."""
    dense = content("letters")
    body = dense + DELIMITER + content(name) + DELIMITER + dense + DELIMITER

    found = find_delimiters(DELIMITER, body, count_max=1_000, sample_start=first)
    whole = find_others(DELIMITER, body, found, count_max=1_000)

    assert found.unsearched
    assert (whole.places, whole.unsearched) == (tuple(expected(body)), ())


def test_blocks_are_told_as_searched_until_one_is_left_out():
    """What is behind it may never be hashed."""
    told: list[int] = []
    body = content("letters")

    found = find_delimiters(DELIMITER, body, count_max=1_000, sample_start=first, searched=told.append)

    assert told == list(range(BLOCK_BYTES, found.unsearched[0][0] + 1, BLOCK_BYTES))


def test_nothing_is_certain_behind_the_first_block_that_was_not_searched():
    """A delimiter can begin in it."""
    found = delimiters.Delimiters((), ((100, 200), (300, 400)))

    parts = {(0, 50): 50, (0, 150): 100, (120, 150): 120, (200, 250): 250, (200, 350): 300, (400, 500): 500}
    assert {part: found.searched_until(*part) for part in parts} == parts


@pytest.mark.parametrize("name", ["a photo", "letters"])
def test_what_the_last_block_holds_is_always_found(name: str):
    """The fields behind the attachments."""
    body = content(name)[: 6 * BLOCK_BYTES] + DELIMITER + b"x" * (BLOCK_BYTES - 100) + DELIMITER

    found = find_delimiters(DELIMITER, body, count_max=1_000, sample_start=first)

    assert list(found.places)[-2:] == expected(body)[-2:]
