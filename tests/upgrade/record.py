"""Records the fixtures: what the earlier code leaves in tables and queues, one file per state.

    .venv/bin/python -m tests.upgrade.record

It needs the history of the repository; the tests need only the files that it writes.
"""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from tests.upgrade import previous, states

FIXTURES = Path(__file__).parent / "fixtures"


def main() -> None:
    """Record every state anew."""
    FIXTURES.mkdir(exist_ok=True)
    for file in FIXTURES.glob("*.json"):
        file.unlink()
    with tempfile.TemporaryDirectory() as folder:
        earlier = previous.load(Path(folder))
        for name in states.STATES:
            (FIXTURES / f"{name}.json").write_text(recorded(name, earlier))


def recorded(name: str, earlier: previous.Previous) -> str:
    """The fixture of a state; the same each time."""
    _count_ids()
    return states.as_json(_snapshot(name, states.build(name, earlier)))


def _count_ids() -> None:
    """Let the earlier code's ids be counted, so that recording twice writes the same."""
    numbers = count(1)

    def new_id() -> str:
        return f"{next(numbers):032x}"

    for module in ("wiring", "doors"):
        vars(importlib.import_module(f"{previous.PREFIX}chalicelib.{module}"))["new_id"] = new_id


def _snapshot(name: str, world: Any) -> dict[str, Any]:
    queues = world.queues
    named = {
        **{f"triggers/{channel}": queue for channel, queue in queues.triggers.items()},
        **{f"dead_triggers/{channel}": queue for channel, queue in queues.dead_triggers.items()},
        **{one: getattr(queues, one) for one in ("ai", "handoff", "replies", "dead_replies")},
    }
    return {
        "state": states.STATES[name].__doc__,
        "commit": previous.COMMIT,
        "settings": states.SETTINGS.get(name, {}),
        "elapsed_seconds": world.clock.monotonic(),
        "tables": {table: one.rows for table, one in vars(world.tables).items() if one.rows},
        "queues": {queue: [_message(one) for one in some.messages] for queue, some in named.items() if some.messages},
        "provider": [
            {"sid": sid, "at": at.isoformat(), "part": asdict(part)} for sid, part, at in world.phone.received
        ],
        "ai": {"batches": world.batches, "replies": world.replies},
        "acknowledged": states.acknowledged(world),
    }


def _message(message: Any) -> dict[str, Any]:
    return {
        "body": message.body,
        "group": message.group,
        "visible_at": message.visible_at,
        "receive_count": message.receive_count,
    }


if __name__ == "__main__":
    main()
