"""What the runs reached: which guards refused a write, which decisions were taken, which faults fell on which calls.

A guard is a condition of a write in `chalicelib/protocol`. It is reached where one of its comparisons alone refuses a
write, so that the write would have happened without it. What no run reaches is listed too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, get_args

from chalicelib.batches import actions
from chalicelib.batches import decision as batch_decision
from chalicelib.outbound import decision as reply_decision
from chalicelib.ports.tables import Both, Condition, Either, Item
from chalicelib.repair import stalled_locks
from tests.fakes.rows import holds

PROTOCOL = Path(batch_decision.__file__).parents[1] / "protocol"
OF_NO_RUN = ("unknown_senders.", "fallbacks.", "record_writes.watch")
"""Not listed: rows that are no part of the promise, and what only an operator's command writes."""

_LABEL = re.compile(r"# ([A-Z]\d)\b")
_DECISIONS: tuple[tuple[Any, Any], ...] = (
    (batch_decision, actions.Action),
    (reply_decision, reply_decision.Judgement),
    (stalled_locks, stalled_locks.Action),
)


class Reached:
    """Counts while `is_on`."""

    def __init__(self) -> None:
        self.is_on = False
        self.writes: Counter[str] = Counter()
        """Writes that happened, by the function of the protocol."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Writes that one comparison alone refused, by function and attribute."""
        self.refusals: Counter[str] = Counter()
        """Writes that were refused, by the function of the protocol."""
        self.compared: dict[str, set[str]] = {}
        """The attributes that a function's conditions compare."""
        self.decided: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def guard(self, place: str, when: Condition | None, row: Item, *, is_written: bool) -> None:
        """A conditional write was tried."""
        leaves = list(_leaves(when)) if when is not None else []
        self.compared.setdefault(place, set()).update(map(_name, leaves))
        if is_written:
            self.writes[place] += 1
            return
        self.refusals[place] += 1
        failed = [one for one in leaves if not holds(one, row)]
        if len(failed) == 1:
            self.refused[place, _name(failed[0])] += 1

    @contextmanager
    def watching(self) -> Iterator[Reached]:
        """While this is entered, writes, decisions and faults are counted."""
        before = [(module, module.decide) for module, _ in _DECISIONS]
        for module, decide in before:
            module.decide = self._counted(module.__name__, decide)
        self.is_on = True
        try:
            yield self
        finally:
            self.is_on = False
            for module, decide in before:
                module.decide = decide

    def report(self) -> str:
        """What was reached, and what was not."""
        lines = ["", "Guards: writes that happened, that were refused, and those that one attribute alone refused."]
        for place, labels in guarded_functions().items():
            compared = sorted(self.compared.get(place, ()))
            told = ", ".join(f"{name} {self.refused[place, name] or 'NEVER'}" for name in compared)
            count, told = self.writes[place] or "NEVER", told or "NEVER TRIED"
            refused = f"refused {self.refusals[place] or 'NEVER'}"
            lines.append(f"  {place} ({' '.join(labels) or '-'}): {count}, {refused}; {told}")
        for module, union in _DECISIONS:
            names = [kind.__name__ for kind in get_args(union)]
            told = ", ".join(f"{name} {self.decided[f'{module.__name__}.{name}'] or 'NEVER'}" for name in names)
            lines.append(f"Decisions of {module.__name__}: {told}")
        told = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        lines.append(f"Faults: {told}")
        return "\n".join(lines)

    def _counted(self, name: str, decide: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            action = decide(*arguments, **named)
            self.decided[f"{name}.{type(action).__name__}"] += 1
            return action

        return counted


REACHED = Reached()


def place_of(frame: FrameType | None) -> str:
    """The public function of the protocol that asks for a write, from the frame of its call outwards."""
    while frame is not None:
        code = frame.f_code
        path = Path(code.co_filename)
        if path.parent == PROTOCOL and not code.co_name.startswith("_"):
            return f"{path.stem}.{code.co_name}"
        frame = frame.f_back
    return "elsewhere"


def caller() -> FrameType | None:
    """The frame of whoever called the method that calls this."""
    return sys._getframe(2)


def guarded_functions() -> dict[str, list[str]]:
    """The public functions of the protocol that write under a condition, each with the labels in its source."""
    found: dict[str, list[str]] = {}
    for path in sorted(PROTOCOL.glob("*.py")):
        source = path.read_text()
        functions = [one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)]
        private = {one.name for one in functions if one.name.startswith("_") and _has_condition(one)}
        for one in functions:
            called = {node.func.id for node in ast.walk(one) if isinstance(node, ast.Call) and _is_named(node.func)}
            place = f"{path.stem}.{one.name}"
            is_private = one.name.startswith("_") or place.startswith(OF_NO_RUN)
            if not is_private and (_has_condition(one) or called & private):
                text = "\n".join(source.splitlines()[one.lineno - 1 : one.end_lineno])
                found[place] = sorted(set(_LABEL.findall(text)))
    return found


def _is_named(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def _has_condition(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Call) and any(one.arg == "when" for one in node.keywords) for node in ast.walk(function)
    )


def _leaves(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, Both):
        yield from _leaves(condition.left)
        yield from _leaves(condition.right)
    else:
        yield condition


def _name(condition: Condition) -> str:
    if isinstance(condition, Either):
        return " or ".join(dict.fromkeys([_name(condition.left), _name(condition.right)]))
    if isinstance(condition, Both):
        return " and ".join(dict.fromkeys([_name(condition.left), _name(condition.right)]))
    told: Any = condition
    return str(told.attribute)
