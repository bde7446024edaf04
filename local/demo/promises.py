"""What the engine promises, and what the demo's checks say about each promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from local.demo import checks, email_checks
from local.demo.outcome import Check, Outcome
from local.demo.picture import COLUMNS


@dataclass(frozen=True)
class Promise:
    """What the engine promises, and the checks of it."""

    words: str
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


def promises(outcome: Outcome) -> list[Promise]:
    """All that must be so."""
    of_each = {
        "Every request is verified, and answered by the rules": (checks.answers, checks.refusals, email_checks.answers),
        "A burst becomes one batch, in order, a repeated request in it once": (checks.batches, email_checks.batch),
        "Each phone and mailbox gets one reply, once": (checks.phones, email_checks.mailbox),
        "A second thought is answered together with the rest, once": (checks.second_thought,),
        "A worker that dies after its lock is repaired": (checks.repair,),
        "A bad day at Twilio neither doubles nor loses a reply": (checks.bad_day_at_twilio,),
        "STOP holds, also against a reply that is on its way": (checks.opt_out,),
        "People get what is theirs, and give it back": (checks.handoffs, checks.whole_turns),
        "Each record says what happened": (checks.records,),
        "Nothing is left over: no lock, no staged row, no dead letter": (checks.leftovers,),
    }
    return [Promise(words, tuple(one for kind in kinds for one in kind(outcome))) for words, kinds in of_each.items()]


def show(console: Console, kept: Sequence[Promise], *, verbose: bool) -> None:
    """One line for each promise; each check of one that is broken, and of all where every line is wanted."""
    is_ascii, width = console.options.ascii_only, min(console.width, COLUMNS)
    marks = {True: Text("ok" if is_ascii else "✔", "green"), False: Text("NO" if is_ascii else "✘", "bold red")}
    for promise in kept:
        console.print(_line(width, marks[promise.holds], promise.words, f"{len(promise.checks)} checks"))
        for check in promise.checks:
            if verbose or not check.holds:
                console.print(Padding(_line(width - 2, marks[check.holds], check.what), (0, 0, 0, 2)))
            if not check.holds:
                found = Text(f"expected {check.expected!r}\nfound    {check.found!r}", "red")
                console.print(Padding(found, (0, 0, 0, 4)))


def _line(width: int, mark: Text, words: str, count: str = "") -> Table:
    """A line whose words wrap below themselves, with a count at its end."""
    line = Table.grid(padding=(0, 1))
    line.width = width
    line.add_column(width=mark.cell_len)
    line.add_column(ratio=1)
    line.add_column(justify="right", style="dim", no_wrap=True)
    line.add_row(mark, words, count)
    return line
