"""The company's own systems at work on a conversation's row, each act one write of theirs.

They know nothing of the engine: they raise no version and read no lock. A step may happen just before a call of the
engine, where a real one would race with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.faults import Call
from tests.world import World


class Company:
    """One company's systems."""

    def __init__(self, world: World) -> None:
        self._world = world

    def set(self, **attributes: Any) -> None:
        """`SET attribute = :value`."""
        self._write({**self._world.row, **attributes})

    def remove(self, *names: str) -> None:
        """`REMOVE attribute`."""
        self._write({name: value for name, value in self._world.row.items() if name not in names})

    def append(self, *entries: dict[str, Any]) -> None:
        """`SET messages = list_append(messages, :entries)`."""
        self.set(messages=[*self._world.row["messages"], *entries])

    def trim(self, index: int = 0) -> None:
        """`REMOVE messages[index]`."""
        self.set(messages=[one for at, one in enumerate(self._world.row["messages"]) if at != index])

    def roll(self, entry: dict[str, Any]) -> None:
        """Both in two updates that nothing of ours comes between: the length stays as it was."""
        self.append(entry)
        self.trim(0)

    def change_entry(self, index: int, **members: Any) -> None:
        """`SET messages[index].member = :value`."""
        entries = self._world.row["messages"]
        self.set(messages=[{**one, **members} if at == index else one for at, one in enumerate(entries)])

    def put(self, row: dict[str, Any]) -> None:
        """A put of a whole item: what they must not do."""
        self._write(row)

    def delete(self) -> None:
        """Delete the row."""
        self._world.tables.conversations._store.rows.clear()

    def _write(self, row: dict[str, Any]) -> None:
        self._world.tables.conversations._store.rows.clear()
        self._world.tables.conversations.seed(row)


def before_call(world: World, operation: str, resource: str, step: Callable[[], None]) -> None:
    """Let the company act once, just before the engine's next such call."""
    inject = world.plan.inject

    def racing(call: Call, apply: Any, fault: Any, detail: str) -> Any:
        if call.operation == operation and resource in call.resource:
            world.plan.inject = inject  # type: ignore[method-assign]
            step()
        return inject(call, apply, fault, detail)

    world.plan.inject = racing  # type: ignore[method-assign]


def entry(message_id: str, direction: str = "OUTBOUND", **members: Any) -> dict[str, Any]:
    """An entry that the company's systems write."""
    return {
        "message_id": message_id,
        "direction": direction,
        "content": f"text of {message_id}",
        "timestamp": "2026-01-31T17:00:00.000000+00:00",
        "channel_type": "whatsapp",
        "metadata": {"sender": "+14155238886", "recipient": "+4915112345678"},
        **members,
    }
