"""What the protocol leans on when several write at once: of all that race for one key, one wins; the others learn who.

Only for engines that several callers may use at once; see the fixture `server`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from chalicelib.ports.tables import Attr, Change, Refused, Table, Written
from tests.contract.engines import Engine

WRITERS = 32
ROUNDS = 5

Answer = Written | Refused


def _race(write: Callable[[int], Answer]) -> list[Answer]:
    """The answers to `WRITERS` writes, which start at the same moment."""
    gate = Barrier(WRITERS)

    def start(number: int) -> Answer:
        gate.wait()
        return write(number)

    with ThreadPoolExecutor(WRITERS) as writers:
        return list(writers.map(start, range(WRITERS)))


def _winners(answers: list[Answer]) -> list[int]:
    return [number for number, answer in enumerate(answers) if isinstance(answer, Written)]


@pytest.fixture
def conversations(server: Engine) -> Table:
    return server.table("conversations")


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_of_writers_that_put_one_key_if_it_is_free_one_wins(conversations: Table, fresh: str, round_number: int):
    """As messages are staged and trigger locks are taken; each loser is told the winner's row."""
    key = {"primary_channel": f"+{round_number}", "conversation_id": fresh}
    is_free = Attr("conversation_id").missing()

    answers = _race(lambda writer: conversations.put(key | {"writer": writer}, when=is_free))

    (winner,) = _winners(answers)
    assert conversations.get(key) == key | {"writer": winner}
    assert answers.count(Refused(key | {"writer": winner})) == WRITERS - 1


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_of_writers_that_change_a_row_as_they_read_it_one_wins(conversations: Table, fresh: str, round_number: int):
    """As a conversation is locked: the version, the token and the appended entry are all the winner's."""
    key = {"primary_channel": f"+{round_number}", "conversation_id": fresh}
    conversations.put(key | {"version": 7, "messages": []})

    def write(writer: int) -> Answer:
        change = Change(set={"token": writer}, append={"messages": [writer]}, add={"version": 1})
        return conversations.update(key, change, when=Attr("version").eq(7), read_back=True)

    answers = _race(write)

    (winner,) = _winners(answers)
    after = key | {"version": 8, "token": winner, "messages": [winner]}
    assert conversations.get(key) == after
    assert answers[winner] == Written(after)
    assert answers.count(Refused(after)) == WRITERS - 1


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_of_writers_that_delete_a_row_if_it_is_theirs_one_finds_it(conversations: Table, fresh: str, round_number: int):
    """As a trigger that is delivered twice gives its lock up twice: nobody deletes what was put in between."""
    key = {"primary_channel": f"+{round_number}", "conversation_id": fresh}
    conversations.put(key | {"trigger_id": "ours"})

    answers = _race(lambda _: conversations.delete(key, when=Attr("trigger_id").eq("ours")))

    (winner,) = _winners(answers)
    assert answers[winner] == Written({})
    assert answers.count(Refused({})) == WRITERS - 1
    assert conversations.get(key) is None


def test_no_increment_is_lost(conversations: Table, fresh: str):
    """Every write to the record raises its version by one, whoever else writes at that moment."""
    key = {"primary_channel": "p", "conversation_id": fresh}
    conversations.put(key | {"version": 0, "messages": []})

    def write(writer: int) -> Answer:
        change = Change(append={"messages": [writer]}, add={"version": 1})
        return conversations.update(key, change, when=Attr("version").exists())

    answers = _race(write)

    row = conversations.get(key)
    assert len(_winners(answers)) == WRITERS
    assert row["version"] == WRITERS
    assert sorted(row["messages"]) == list(range(WRITERS))
