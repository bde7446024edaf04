"""A company's policies over all of its rows: what they are, and how they are changed.

A policy stands on every conversation's row of the company, so a change is one write per row. Each write depends on the
configuration as it was read: where the company's own systems changed it meanwhile, the row is read again. A run that
was cut off is completed by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from chalicelib.channels.channel import Channel
from chalicelib.conversations import policies
from chalicelib.conversations.conversation import CHANNEL_CONFIG
from chalicelib.conversations.policies import POLICY, Policy
from chalicelib.conversations.policy_kinds import Kind, MapOf, Names, Number, Word
from chalicelib.ports.tables import Attr, Change, Table, Written
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey
from chalicelib.settings import Settings
from ops.stage.target import CommandError
from ops.tenants.rows import of_companies

_TRIES = 4
"""How often a row is read again that somebody else writes at the same time."""


@dataclass(frozen=True)
class Wish:
    """How the policies of one channel shall change."""

    put: Mapping[str, Any]
    """By name, as the row holds the values."""
    remove: Collection[str]

    @classmethod
    def of(cls, told: Sequence[str], removed: Sequence[str], settings: Settings) -> Wish:
        """What an operator asks for: `name=value`, and names to remove.

        Raises:
            CommandError: there is no such policy, or its value would not be applied as it is written.
        """
        put: dict[str, Any] = {}
        for one in told:
            name, equals, text = one.partition("=")
            if not equals:
                raise CommandError(f"{one} is not NAME=VALUE", f"one of {', '.join(_KINDS)}, = and its value")
            kind = _kind(name)
            put[name] = _as_row_value(kind, text)
            reading = kind.read(put[name], getattr(settings, name))
            if reading.faults:
                raise CommandError(f"{name} {reading.faults[0][1]}", f"{name} is {kind}")
        for name in removed:
            _kind(name)
            if name in put:
                raise CommandError(f"{name} is both set and unset", "one of the two")
        return cls(put, removed)

    @property
    def is_empty(self) -> bool:
        return not (self.put or self.remove)

    def applied_to(self, channel_config: Mapping[str, Any], channel: str) -> dict[str, Any]:
        """The configuration with the wish fulfilled; what else it holds stays, an empty policy map goes."""
        of_channel = channel_config[channel]
        before = of_channel.get(POLICY)
        kept = before if isinstance(before, Mapping) else {}
        after = {**{name: value for name, value in kept.items() if name not in self.remove}, **self.put}
        others = {name: value for name, value in of_channel.items() if name != POLICY}
        return {**channel_config, channel: {**others, **({POLICY: after} if after else {})}}


class Result(StrEnum):
    """The outcome of one row."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NOT_CONFIGURED = "has no configuration of the channel"
    NOT_APPLIED = "would not apply the value as written"
    BUSY = "keeps changing; run the command again"
    GONE = "is gone"


def rows(table: Table, channel: Channel, company: str) -> Iterator[ConversationKey]:
    """The conversations of a company on a channel, finished ones included: they tell what unknown senders receive."""
    for _, row in of_companies(table, {channel.name: channel}, company):
        yield ConversationKey(row[PRIMARY_CHANNEL], row[CONVERSATION_ID])


def change(
    table: Table, settings: Settings, key: ConversationKey, channel: str, wish: Wish, *, is_dry_run: bool
) -> Result:
    """Change the policies of one row, unless they would not be applied as they are written.

    Raises:
        EngineError: AWS refused or did not answer.
    """
    for _ in range(_TRIES):
        row = table.get(key.item, attributes=(*key.item, CHANNEL_CONFIG))
        if row is None:
            return Result.GONE
        before = row.get(CHANNEL_CONFIG)
        if not isinstance(before, Mapping) or not isinstance(before.get(channel), Mapping):
            return Result.NOT_CONFIGURED
        after = wish.applied_to(before, channel)
        if after == before:
            return Result.UNCHANGED
        if _is_clamped(settings, after, channel, wish):
            return Result.NOT_APPLIED
        if is_dry_run:
            return Result.CHANGED
        as_read = Attr(CHANNEL_CONFIG).eq(before) & Attr(PRIMARY_CHANNEL).exists()
        if isinstance(table.update(key.item, Change(set={CHANNEL_CONFIG: after}), when=as_read), Written):
            return Result.CHANGED
    return Result.BUSY


def _is_clamped(settings: Settings, channel_config: Mapping[str, Any], channel: str, wish: Wish) -> bool:
    """Whether a value that was asked for does not apply beside the others of the row, as a cap below the window."""
    places = {f"{CHANNEL_CONFIG}.{channel}.{POLICY}.{name}" for name in _KINDS if name in wish.put}
    merged = policies.merge(settings, channel_config, channel)
    return any(finding.place in places for finding in merged.findings)


def _as_row_value(kind: Kind, text: str) -> Any:
    """A value as it is typed, as a row holds it; one that is malformed is refused by its kind."""
    match kind:
        case Number():
            return int(text) if text.lstrip("-").isdecimal() else text
        case Word(meanings) if set(meanings) == {"true", "false"} and text in meanings:
            return meanings[text]
        case Names():
            return [name.strip() for name in text.split(",") if name.strip()]
        case MapOf():
            try:
                return json.loads(text)
            except ValueError:
                return text
        case _:
            return text


def _kind(name: str) -> Kind:
    if name not in _KINDS:
        raise CommandError(f"there is no policy {name}", f"one of {', '.join(_KINDS)}")
    return _KINDS[name]


_KINDS = {one.name: policies.kind_of(one) for one in fields(Policy)}
