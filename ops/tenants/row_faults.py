"""What of a company's rows is missing or is misread, by kind, and how a kind is repaired; pure.

One table of kinds serves the doctor, which reports them, `adopt`, which reads a table before it is connected, and
`tenant repair`, which writes. A repair changes the one attribute that its kind names, and only where it can mean
nothing else or the operator says the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.channels.channel import Channel
from chalicelib.clock import from_iso
from chalicelib.conversations.conversation import (
    CHANNEL_CONFIG,
    COMPANY_ID,
    CREATED_AT,
    CREDENTIAL_REF,
    TASK_COMPLETE,
    config_of,
    credential_ref_of,
    is_complete,
)
from chalicelib.messages.inbound import AddressKind
from chalicelib.messages.phone_numbers import bare, is_readable
from chalicelib.ports.tables import Item
from chalicelib.protocol.record import CLAIM, MESSAGES, STARTED_AT, STATUS, UNANSWERED_IDS, VERSION
from ops.doctor.findings import Weight
from ops.tenants.rows import tenant_of
from ops.tenants.secrets import SecretName

PROJECT_STATUS, ALLOWED_CHANNELS = "project_status", "allowed_channels"
RECIPIENTS = {AddressKind.PHONE: "recipient_tel", AddressKind.EMAIL: "recipient_email"}
"""Where the company's own systems keep the customer's address."""


class NoValueError(ValueError):
    """A repair needs a value that the command did not name, or cannot use the one that it named."""


@dataclass(frozen=True)
class Known:
    """What a row is compared with."""

    channels: Mapping[str, Channel]
    refs: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """The names of the secrets that there are, by channel and company."""


@dataclass(frozen=True)
class Wanted:
    """What the operator says beside the kind."""

    value: str = ""
    country_code: str = ""
    channel: str = ""


Find = Callable[[Item, Known], Iterator[str]]
"""What of a row is at fault: an attribute or a channel for each fault."""
Repair = Callable[[Item, Known, str, Wanted], Mapping[str, Any]]
"""The attributes to write to a row for one fault; raises `NoValueError`."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault in a row."""

    name: str
    means: str
    """What is wrong, after "N conversations of COMPANY"; `{}` stands for the attribute or the channel."""
    find: Find
    repair: Repair | None = None
    options: str = ""
    """What the command that repairs it names beside the kind."""
    weight: Weight = Weight.FAULT
    by_hand: str = "correct it in the company's own systems: docs/data.md"
    """The step where there is no command."""


def faults_of(row: Item, known: Known) -> Iterator[tuple[Kind, str]]:
    """Everything that is wrong with a row, each with the attribute or the channel that it is about."""
    for kind in KINDS.values():
        for detail in kind.find(row, known):
            yield kind, detail


def _task_complete(row: Item, _: Known) -> Iterator[str]:
    if is_complete(row.get(TASK_COMPLETE)) is None:
        yield TASK_COMPLETE


def _project_missing(row: Item, _: Known) -> Iterator[str]:
    status = row.get(PROJECT_STATUS)
    is_misspelled = isinstance(status, str) and status != "active" and status.strip().lower() == "active"
    if _is_open(row) and (not isinstance(status, str) or is_misspelled):
        yield PROJECT_STATUS


def _project_paused(row: Item, known: Known) -> Iterator[str]:
    if _is_open(row) and row.get(PROJECT_STATUS) != "active" and not [*_project_missing(row, known)]:
        yield PROJECT_STATUS


def _channels_missing(row: Item, _: Known) -> Iterator[str]:
    if _is_open(row) and not row.get(ALLOWED_CHANNELS):
        yield ALLOWED_CHANNELS


def _channels_unknown(row: Item, known: Known) -> Iterator[str]:
    allowed = row.get(ALLOWED_CHANNELS)
    names = allowed if isinstance(allowed, list | set | tuple) else [allowed] if allowed else []
    if any(not isinstance(one, str) or one.strip().lower() not in known.channels for one in names):
        yield ALLOWED_CHANNELS


def _numbers(row: Item, known: Known) -> Iterator[str]:
    keys = {
        key: None
        for channel in known.channels.values()
        if channel.address_kind is AddressKind.PHONE
        for key in (channel.index.company_key, channel.index.customer_key)
        if isinstance(row.get(key), str) and not is_readable(row[key])
    }
    yield from keys


def _lookup_keys(row: Item, known: Known) -> Iterator[str]:
    """The channels on which a row has one of the look-up's two keys, or the one where it has none at all."""
    halves, wholes = [], 0
    for channel in known.channels.values():
        present = [bool(row.get(key)) for key in (channel.index.company_key, channel.index.customer_key)]
        wholes += all(present)
        if present[0] and not present[1]:
            halves.append(channel.index.customer_key)
    if _is_open(row) and not wholes:
        yield from dict.fromkeys(halves or ("look-up keys",))


def _credentials(row: Item, known: Known) -> Iterator[str]:
    for channel in known.channels.values():
        if row.get(channel.index.company_key) and credential_ref_of(row, channel.name) is None and _is_open(row):
            yield channel.name


def _created_at(row: Item, _: Known) -> Iterator[str]:
    try:
        from_iso(str(row.get(CREATED_AT, "")))
    except ValueError:
        yield CREATED_AT


def _damaged(row: Item, _: Known) -> Iterator[str]:
    """Attributes of ours of a shape that we never write: the row cannot be read."""
    if MESSAGES in row and not isinstance(row[MESSAGES], list):
        yield MESSAGES
    if not isinstance(row.get(UNANSWERED_IDS, []), list):
        yield UNANSWERED_IDS
    try:
        int(row.get(VERSION, 0))
    except (TypeError, ValueError):
        yield VERSION


def _company(row: Item, _: Known) -> Iterator[str]:
    if not isinstance(row.get(COMPANY_ID), str) or not row[COMPANY_ID]:
        yield COMPANY_ID


def _is_open(row: Item) -> bool:
    """Whether a conversation may still receive messages."""
    return is_complete(row.get(TASK_COMPLETE)) is not True


def _set_completion(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:  # noqa: ARG001  # as the table asks
    if wanted.value not in {"0", "1"}:
        raise NoValueError("--value 0 (the conversations go on) or --value 1 (they have ended)")
    return {TASK_COMPLETE: int(wanted.value)}


def _set_project(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:  # noqa: ARG001  # as above
    if not wanted.value:
        raise NoValueError("--value active, or the name of another status")
    return {PROJECT_STATUS: wanted.value}


def _set_channels(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:  # noqa: ARG001  # as above
    names = [one.strip().lower() for one in wanted.value.split(",") if one.strip()]
    if not names or not set(names) <= known.channels.keys():
        raise NoValueError(f"--value with one or more of {','.join(known.channels)}")
    return {ALLOWED_CHANNELS: names}


def _set_company(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:  # noqa: ARG001  # as above
    if not wanted.value:
        raise NoValueError("--value with the company's id")
    return {COMPANY_ID: wanted.value}


def _respell(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:  # noqa: ARG001  # as above
    number = respelled(str(row[detail]), wanted.country_code)
    if number is None:
        raise NoValueError("--country-code with the calling code of national numbers, such as 49")
    return {detail: number}


def _add_customer(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:
    """The look-up's key for the customer, from where the company's systems keep the address."""
    for channel in known.channels.values():
        source = row.get(RECIPIENTS[channel.address_kind])
        if channel.index.customer_key == detail and isinstance(source, str) and source:
            address = (
                source.lower() if channel.address_kind is AddressKind.EMAIL else respelled(source, wanted.country_code)
            )
            if address is not None:
                return {detail: address}
    raise NoValueError("the company's own systems: the row does not say whose number or address it is")


def _add_ref(row: Item, known: Known, detail: str, wanted: Wanted) -> Mapping[str, Any]:
    """The name of the company's one secret for the channel, beside what else its configuration holds."""
    refs = known.refs.get((detail, tenant_of(row)), ())
    ref = wanted.value or (refs[0] if len(refs) == 1 else "")
    if not ref:
        what = f"{len(refs)} secrets" if refs else "no secret"
        raise NoValueError(f"--value with the secret's name: the company has {what} for {detail}")
    config = row.get(CHANNEL_CONFIG)
    config = dict(config) if isinstance(config, Mapping) else {}
    spelled = next((name for name in config if str(name).strip().lower() == detail), detail)
    return {CHANNEL_CONFIG: {**config, spelled: {**config_of(config, detail), CREDENTIAL_REF: ref}}}


def respelled(text: str, country_code: str) -> str | None:
    """A number as the look-up asks for it; None: nobody can say which number is meant without a calling code."""
    number = bare(text)
    if is_readable(number) and number.startswith("+"):
        return number
    digits = "".join(one for one in text if one.isdigit())
    code = country_code.lstrip("+")
    if not code.isdigit() or not digits:
        return None
    found = f"+{code}{digits.removeprefix('0')}"
    return found if is_readable(found) else None


def credentials_kind(stage: str) -> Kind:
    """Rows that name no secret, or one whose name no function of the stage may read."""

    def find(row: Item, known: Known) -> Iterator[str]:
        missing = {*_credentials(row, known)}
        for channel in known.channels.values():
            name = SecretName.of(credential_ref_of(row, channel.name) or "")
            is_ours = name is not None and name.stage == stage
            if channel.name in missing or (row.get(channel.index.company_key) and _is_open(row) and not is_ours):
                yield channel.name

    return replace(KINDS["credentials"], find=find)


_OWN_SYSTEMS = "correct it in the company's own systems: docs/company-systems.md"

KINDS: Mapping[str, Kind] = {
    one.name: one
    for one in (
        Kind(
            "task-complete",
            "have no readable {}: no message finds them",
            _task_complete,
            _set_completion,
            "--value 0",
        ),
        Kind(
            "project-status",
            "have no readable {}: every message is refused",
            _project_missing,
            _set_project,
            "--value active",
        ),
        Kind(
            "paused",
            "are in a project that is not active: every message is refused",
            _project_paused,
            _set_project,
            "--value active",
            Weight.WARNING,
        ),
        Kind(
            "allowed-channels",
            "have no {}: every message is refused",
            _channels_missing,
            _set_channels,
            "--value whatsapp,sms,email",
        ),
        Kind(
            "unknown-channels",
            "name an unknown channel in {}",
            _channels_unknown,
            _set_channels,
            "--value whatsapp,sms,email",
            Weight.WARNING,
        ),
        Kind(
            "numbers",
            "have a {} that is not a number in the form of the look-up, such as +4930123456",
            _numbers,
            _respell,
            "--country-code CODE",
        ),
        Kind("lookup-keys", "have no {}: no message finds them", _lookup_keys, _add_customer),
        Kind("credentials", "name no secret for {} (MISSING_CREDENTIAL_CONFIG)", _credentials, _add_ref),
        Kind(
            "created-at",
            "have no readable {}: the newer of two active conversations is unknown",
            _created_at,
            weight=Weight.WARNING,
            by_hand=_OWN_SYSTEMS,
        ),
        Kind("damaged", "have a {} of another type than the engine writes: they cannot be read", _damaged),
        Kind("company-id", "have no {}", _company, _set_company, "--value COMPANY", Weight.WARNING),
    )
}

PROJECTED = (
    COMPANY_ID,
    CREATED_AT,
    TASK_COMPLETE,
    CHANNEL_CONFIG,
    PROJECT_STATUS,
    ALLOWED_CHANNELS,
    STATUS,
    STARTED_AT,
    CLAIM,
    UNANSWERED_IDS,
    VERSION,
    *RECIPIENTS.values(),
)
"""What is read of a row, beside its keys and those of its indexes: not its messages."""
