"""A company's own policies: what `channel_config.<channel>.policy` says, merged with the deployment's settings.

Guarantee: a `Policy` is complete and within the bounds of the settings, whatever a company wrote. A value that cannot
be read is ignored, a number out of bounds becomes the nearest bound, and each such value is one `Finding`.

`Policy` is the table of policies: one field is one policy. A policy has the name, the default and the range of a
setting; a new one is one field here, one setting, and one row of the table in docs/settings.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, Protocol

from chalicelib.conversations.conversation import CHANNEL_CONFIG, config_of
from chalicelib.conversations.policy_kinds import Kind, kind_of_setting, spelled
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Step, Trail

POLICY = "policy"
"""The map of a channel's configuration that holds the company's policies."""
_WARNED_MAX = 1_000
"""How many findings a process remembers as warned of."""


def _policy(note: str, *, kind: Kind | None = None, former_place: str | None = None) -> Any:
    """One policy.

    Args:
        note: what it does.
        kind: how it is written; None: as the setting's range says.
        former_place: where a company may write it too, directly in the configuration of the channel.
    """
    return field(metadata={"note": note, "kind": kind, "former_place": former_place})


@dataclass(frozen=True, kw_only=True, repr=False)
class Policy:
    """The policies that apply to a conversation on one channel.

    Each has the name of the setting that is its default.
    """

    batch_window_seconds: int = _policy("quiet period after which a burst becomes a batch")
    batch_max_wait_seconds: int = _policy(
        "longest wait after the first message of a burst; if it is below the window, the window applies"
    )
    window_mode: Literal["fixed", "adaptive"] = _policy(
        "`fixed`: the window is `batch_window_seconds`; `adaptive`: it follows this customer's usual pauses, up to that"
    )
    on_new_message: Literal["queue", "restart", "reject"] = _policy(
        "a message that arrives while the AI works: `queue` stages it for the next batch; `restart` gives the AI one "
        "larger batch in place of the one that it has; `reject` rejects it"
    )
    locked_notice: str = _policy(
        "text that the customer receives when a message arrives while the AI works; empty: none"
    )
    unknown_sender_text: str = _policy(
        "text that a sender without a conversation receives; empty: none. "
        "`channel_config.<channel>.unknown_sender_text` also works; the policy wins",
        former_place="unknown_sender_text",
    )
    opt_out_keywords: Literal["none", "default"] = _policy(
        "whether Twilio's default keywords opt a customer out or in without `OptOutType`: `default` if the"
        " channel's service has no Advanced Opt-Out"
    )
    stall_action: Literal["warn", "handoff"] = _policy(
        "a stalled batch: `warn` carries it into the next one; `handoff` gives it to people"
    )
    typing_indicator: bool = _policy(
        "after a dispatch and each heartbeat, WhatsApp shows for 25 seconds that an answer is being "
        "written, and marks the customer's message as read"
    )
    undelivered_action: Literal["none", "resend", "handoff"] = _policy(
        "a reply that was accepted and not delivered: `none` only reports it; `resend` sends it once more "
        "if its error code is safe; `handoff` gives its batch to people"
    )
    status_callbacks: bool = _policy(
        "whether the provider is asked to report on each message; `false` only if `undelivered_action` is `none`"
    )
    list_addresses: tuple[str, ...] = _policy(
        "the company's addresses that are mailing lists, such as a Google Group: an e-mail that one of "
        "them forwards counts as its author's"
    )
    automatic_answers_per_hour: int = _policy(
        "AI answers that a conversation may have within an hour; beyond that, people get its next e-mail"
    )
    unauthenticated_email: Mapping[str, Literal["handoff", "keep", "refuse"]] = _policy(
        "what happens to an e-mail whose sender is not authenticated. `failed`: SPF and DKIM do not "
        "confirm the sender; `none`: SendGrid sent no result. `handoff`: people get it; `keep`: it is "
        "routed like any other; `refuse`: it is refused"
    )
    unknown_sender_messages_per_hour: int = _policy(
        "messages to unknown senders that one address of the company sends within a clock hour; 0: none"
    )


PolicyOf = Callable[[str], Policy]
"""The policy of a conversation's company for a channel."""


def kind_of(policy: Field[Any]) -> Kind:
    """How a policy of the table is written."""
    kind: Kind | None = policy.metadata["kind"]
    return kind_of_setting(policy.name) if kind is None else kind


@dataclass(frozen=True)
class Finding:
    """One value of a company's configuration that is not applied as it is written."""

    place: str
    """Such as `channel_config.sms.policy.batch_window_seconds`."""
    fault: str
    """What is wrong, and what applies instead; never the value."""

    def __str__(self) -> str:
        return f"{self.place} {self.fault}"


@dataclass(frozen=True)
class Merged:
    """The policy that applies, and what of the company's configuration does not."""

    policy: Policy
    findings: tuple[Finding, ...] = ()


_FORMER_PLACES = frozenset(one.metadata["former_place"] for one in fields(Policy)) - {None}
"""The names under which a channel's configuration may have a policy of its own."""


def merge(settings: Settings, channel_config: Any, channel: str) -> Merged:
    """Merge the deployment's settings with a company's policies for one channel; pure.

    Args:
        settings: the defaults.
        channel_config: the attribute of the conversation's row, of any shape; None: the row has none.
        channel: its name.
    """
    findings: list[Finding] = []
    of_channel, written = _written(channel_config, channel, findings)
    place = f"{CHANNEL_CONFIG}.{channel}"
    values: dict[str, Any] = {}
    for one in fields(Policy):
        value = getattr(settings, one.name)
        kind, former_place = kind_of(one), one.metadata["former_place"]
        for name, source, where in ((former_place, of_channel, place), (one.name, written, f"{place}.{POLICY}")):
            if name is not None and source.get(name) is not None:
                reading = kind.read(source[name], value)
                findings += [Finding(f"{where}.{name}{below}", fault) for below, fault in reading.faults]
                value = reading.value
        values[one.name] = value
    findings += [
        Finding(f"{place}.{POLICY}.{spelled(name)}", "is unknown; it is ignored") for name in _unknown(written)
    ]
    window, cap = values["batch_window_seconds"], values["batch_max_wait_seconds"]
    if cap < window:
        values["batch_max_wait_seconds"] = window
        if written.get("batch_max_wait_seconds") is not None:
            where = f"{place}.{POLICY}.batch_max_wait_seconds"
            fault = f"must be {kind_of_setting('batch_max_wait_seconds')}, not below the window; {window} applies"
            findings = [one for one in findings if one.place != where] + [Finding(where, fault)]
    if not values["status_callbacks"] and values["undelivered_action"] != "none":
        values["status_callbacks"] = True
        if written.get("status_callbacks") is not None:
            fault = "may be false only while undelivered_action is none; true applies"
            findings.append(Finding(f"{place}.{POLICY}.status_callbacks", fault))
    return Merged(Policy(**values), tuple(findings))


class Configured(Protocol):
    """Something that has a company's configuration: a conversation, or what the look-up found of a company."""

    @property
    def tenant(self) -> str: ...

    @property
    def channel_config(self) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class Policies:
    """The policies of all companies, as a process asks for them.

    Warns once per process of each value that is not applied. It remembers at most `_WARNED_MAX` of them, the latest.
    """

    settings: Settings
    _warned: dict[tuple[str, Finding], None] = field(default_factory=dict, init=False)

    def of(self, configured: Configured, channel: str, trail: Trail) -> Policy:
        """The policy that applies to a conversation, or to a company, on one channel."""
        of_channel = config_of(configured.channel_config, channel)
        if not of_channel or (POLICY not in of_channel and _FORMER_PLACES.isdisjoint(of_channel)):
            return self._defaults  # most companies have no policies, and a batch asks several times
        merged = merge(self.settings, configured.channel_config, channel)
        for finding in merged.findings:
            self._warn(configured.tenant, finding, trail)
        return merged.policy

    @cached_property
    def _defaults(self) -> Policy:
        """What applies where a company has said nothing."""
        return merge(self.settings, None, "").policy

    def for_channels(self, configured: Configured, trail: Trail) -> PolicyOf:
        """The policies that apply to a conversation, by its channels."""
        return lambda channel: self.of(configured, channel, trail)

    def _warn(self, tenant: str, finding: Finding, trail: Trail) -> None:
        if (tenant, finding) in self._warned:
            return
        if len(self._warned) >= _WARNED_MAX:
            self._warned.pop(next(iter(self._warned)), None)
        self._warned[tenant, finding] = None
        trail.log(Step.POLICY_NOT_APPLIED, Level.WARNING, tenant=tenant, reason=str(finding))


def _written(channel_config: Any, channel: str, findings: list[Finding]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A channel's configuration and the policies in it; empty where there are none, or what is there is no map."""
    of_channel = config_of(channel_config, channel)
    if not of_channel:
        return {}, {}
    written = of_channel.get(POLICY)
    if isinstance(written, Mapping):
        return of_channel, written
    if written is not None:
        findings.append(Finding(f"{CHANNEL_CONFIG}.{channel}.{POLICY}", "must be a map; it is ignored"))
    return of_channel, {}


def _unknown(written: Mapping[str, Any]) -> list[str]:
    known = {one.name for one in fields(Policy)}
    return sorted(str(name) for name in written if name not in known)
