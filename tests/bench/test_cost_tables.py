"""What the page says of costs is what is counted: the figures of `python -m bench.costs`, within two in a hundred."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import costs

MEASURED = ("young", "36 KB")
"""Of the obvious build."""
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def told_after(words: str) -> list[list[str]]:
    """The rows of the page's next table after these words, heads first."""
    table = re.search(rf"{re.escape(words)}\n\n((?:\|.*\n)+)", PAGE.read_text())
    assert table, f"a table after {words!r}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines() if "---" not in row]


def same(told: str, counted: str) -> bool:
    """Whether two cells say the same; figures differ a little, for ids and instants are written in the lines too."""
    try:
        return float(told.replace(",", "")) == pytest.approx(float(counted.replace(",", "")), rel=0.02, abs=0.011)
    except ValueError:
        return told == counted


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        (
            "characters, where `MESSAGES_KEEP` binds, and of 600, where `MESSAGES_BYTES_MAX` does.",
            lambda: costs.of_messages({name: one() for name, one in costs.SCENARIOS.items()}),
        ),
        ("before the first message:", costs.of_a_month),
        ("by the size that the record has there:", lambda: costs.beside_the_obvious(MEASURED)),
    ],
    ids=["messages", "a month", "the obvious build"],
)
def test_the_page_tells_what_is_counted(words, counted):
    """Row by row; one who makes a message dearer sees it here."""
    heads, rows = counted()

    told_heads, *told_rows = told_after(words)

    assert told_heads == heads
    if heads[1] == "obvious":  # larger records take long
        told_rows = [row for row in told_rows if row[0] in MEASURED]
    assert [row[0] for row in told_rows] == [row[0] for row in rows]
    assert [
        pair
        for told, row in zip(told_rows, rows, strict=True)
        for pair in zip(told, row, strict=True)
        if not same(*pair)
    ] == []


def test_a_message_is_billed_as_often_as_it_is_counted():
    """The calls are those of the cost tests: five for a message, six for its batch, and what its reply makes."""
    usage = costs.SCENARIOS["one a batch"]()

    assert usage.amounts["Lambda requests"] == 1 + 2 + len(costs.STATUSES)
    assert usage.amounts["API Gateway"] == 1 + len(costs.STATUSES)
    assert usage.amounts["SQS"] == 2 + 2 * 2, "a trigger and a context sent; a trigger and a reply received and deleted"
    assert usage.amounts["DynamoDB writes"] == 19
