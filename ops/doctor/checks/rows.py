"""The rows: what is missing or is misread, by company and kind, and conversations that stay locked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from chalicelib.clock import from_iso
from chalicelib.ports.tables import Item
from chalicelib.protocol.record import CLAIM, CONVERSATION_ID, STARTED_AT, STATUS, Status
from chalicelib.repair.patience import patience_max
from chalicelib.settings import SWEEP_STALLED_MINUTES
from ops.doctor.findings import Finding
from ops.stage.deployment import Deployment
from ops.tenants.row_faults import Kind, Known, Wanted, faults_of
from ops.tenants.rows import tenant_of

AREA = "rows"

_LOCKS_SHOWN = 5
_SWEEPS_MISSED = 2
"""A lock that so many sweeps have passed by stays for good."""


def check(deployment: Deployment, items: Sequence[Item], known: Known) -> Iterator[Finding]:
    """What is wrong with rows, one finding for each company, kind and attribute; no address is shown."""
    counts: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], Item] = {}
    kinds: dict[str, Kind] = {}
    for row in items:
        for kind, detail in faults_of(row, known):
            place = (tenant_of(row), kind.name, detail)
            counts[place] += 1
            examples.setdefault(place, row)
            kinds[kind.name] = kind
    for (tenant, name, detail), count in sorted(counts.items()):
        kind = kinds[name]
        what = f"{count} conversation(s) of {tenant} {kind.means.format(detail)}"
        fix = fix_of(deployment, kind, tenant, detail, examples[tenant, name, detail], known)
        yield Finding(AREA, what, fix, kind.weight)
    yield from _locks(deployment, items)


def fix_of(deployment: Deployment, kind: Kind, tenant: str, detail: str, row: Item, known: Known) -> str:
    """The command that repairs the rows of a kind; else the step by hand."""
    target = deployment.target
    if kind.name == "credentials" and not known.refs.get((detail, tenant)):
        return target.ops(f"tenant add {tenant} --channel {detail} --write-rows")
    if kind.repair is None:
        return kind.by_hand
    options = kind.options
    try:
        kind.repair(row, known, detail, Wanted())
        options = ""
    except ValueError:
        if not options:
            return kind.by_hand
    return target.ops(" ".join(filter(None, (f"tenant repair {tenant} {kind.name}", options))))


def _locks(deployment: Deployment, items: Sequence[Item]) -> Iterator[Finding]:
    """Locks that the sweep should have reset long ago, or that it cannot see."""
    settings, now = deployment.settings, deployment.engine().clock.now()
    patience = patience_max(settings) + timedelta(minutes=_SWEEPS_MISSED * SWEEP_STALLED_MINUTES)
    stuck = [(row, since) for row in items if is_locked(row) and _is_stuck(since := _locked_since(row), now, patience)]
    for row, since in stuck[:_LOCKS_SHOWN]:
        for_how_long = f"since {since:%Y-%m-%d %H:%M}" if since else "by another system, since an unknown time"
        what = f"conversation {row[CONVERSATION_ID]} of {tenant_of(row)} is locked {for_how_long}"
        yield Finding(AREA, what, deployment.target.ops(f"unlock {row[CONVERSATION_ID]}{'' if since else ' --now'}"))
    if len(stuck) > _LOCKS_SHOWN:
        what = f"{len(stuck) - _LOCKS_SHOWN} more conversations are locked"
        yield Finding(
            AREA, what, f"see the schedule of check_and_reset_stalled_conversations: {deployment.target.deploy}"
        )


def is_locked(row: Mapping[str, object]) -> bool:
    """Whether a batch holds the conversation, or a reply is being sent."""
    return row.get(STATUS) == Status.PROCESSING or row.get(CLAIM) is not None


def _is_stuck(since: datetime | None, now: datetime, patience: timedelta) -> bool:
    return since is None or now - since > patience


def _locked_since(row: Item) -> datetime | None:
    """When a lock was taken or refreshed; None: nothing says, and the sweep cannot see it."""
    started = row.get(STARTED_AT)
    try:
        return from_iso(started) if isinstance(started, str) else None
    except ValueError:
        return None
