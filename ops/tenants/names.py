"""Names as an operator types them: the demo's own on this machine, and the known ones where a name is not known."""

from __future__ import annotations

from collections.abc import Iterable

from ops.stage.target import CommandError, Target


def company(target: Target, told: str) -> str:
    """The company_id that a name means; `make run` shows its tenants by shorter names."""
    if not _has_demo(target):
        return told
    from local.tenants import TENANTS  # noqa: PLC0415  # no other stage needs it

    return next((one.company_id for one in TENANTS if told == one.name), told)


def conversation(target: Target, told: str) -> str:
    """The conversation that a name means; `make run` shows its customers by name."""
    if not _has_demo(target):
        return told
    from local.tenants import TENANTS  # noqa: PLC0415  # as above

    named = ((one, customer) for one in TENANTS for customer in one.customers)
    return next((one.conversation_id(customer) for one, customer in named if told == customer.name), told)


def _has_demo(target: Target) -> bool:
    """Whether the demo's tenants are there: on a stage of this machine, and on one that is rehearsed."""
    return target.is_on_this_machine or target.run is not None


def unknown_company(told: str, known: Iterable[str]) -> CommandError:
    """No row and no secret is of a company: the answer names those that there are."""
    names = ", ".join(sorted(set(known))) or "none: there is no conversation and no secret"
    return CommandError(f"{told} has no conversation", f"one of the known companies: {names}")


def require_channels(told: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a channel that there is not.

    Raises:
        CommandError: with those that there are.
    """
    names = list(known)
    for one in told:
        if one not in names:
            raise CommandError(f"there is no channel {one}", f"one of {', '.join(names)}")
