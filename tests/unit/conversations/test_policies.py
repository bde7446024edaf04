"""A company's policies: merged with the settings, bounded by their ranges, each bad value found once."""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chalicelib.conversations import policies
from chalicelib.conversations.policies import Finding, Policies, Policy, kind_of, merge
from chalicelib.conversations.policy_kinds import (
    TEXT_LENGTH_MAX,
    MapOf,
    Names,
    Number,
    Reading,
    Text,
    Word,
    kind_of_setting,
)
from chalicelib.settings import Settings
from chalicelib.telemetry import Step, Trail
from tests.fakes.clock import FakeClock
from tests.world import RecordingTelemetry, settings_of

DOCS = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()
SETTINGS = settings_of(())
PLACE = "channel_config.whatsapp.policy"


def merged(written: Any, **of_channel: Any) -> tuple[Policy, list[str]]:
    """The policy for WhatsApp of a company that wrote this, and what is found wrong."""
    one = merge(SETTINGS, {"whatsapp": {"credential_ref": "x", "policy": written, **of_channel}}, "whatsapp")
    return one.policy, [str(finding) for finding in one.findings]


class TestMerge:
    @pytest.mark.parametrize("config", [None, {}, "text", 7, [], {"sms": {}}, {"whatsapp": None}, {"whatsapp": "text"}])
    def test_the_settings_are_the_defaults(self, config: Any):
        """Whatever shape a row without policies has."""
        one = merge(SETTINGS, config, "whatsapp")

        assert vars(one.policy) == {policy.name: getattr(SETTINGS, policy.name) for policy in fields(Policy)}
        assert one.findings == ()

    def test_a_company_has_its_own_by_channel(self):
        """What applies by WhatsApp does not apply by SMS."""
        config = {"whatsapp": {"policy": {"batch_window_seconds": Decimal(2), "on_new_message": "reject"}}, "sms": {}}

        of_whatsapp, of_sms = (merge(SETTINGS, config, channel).policy for channel in ("whatsapp", "sms"))

        assert (of_whatsapp.batch_window_seconds, of_whatsapp.on_new_message) == (2, "reject")
        assert (of_sms.batch_window_seconds, of_sms.on_new_message) == (10, "queue")

    @pytest.mark.parametrize(
        ("name", "written"),
        [
            ("batch_window_seconds", Decimal(0)),
            ("batch_max_wait_seconds", Decimal(900)),
            ("on_new_message", "reject"),
            ("locked_notice", ""),
            ("unknown_sender_text", "Who are you?"),
            ("stall_action", "handoff"),
            ("undelivered_action", "resend"),
            ("status_callbacks", False),
        ],
    )
    def test_each_policy_can_be_written(self, name: str, written: Any):
        """And nothing is found."""
        policy, findings = merged({name: written})

        assert getattr(policy, name) == written
        assert findings == []

    @pytest.mark.parametrize(
        ("name", "written", "applied", "fault"),
        [
            ("batch_window_seconds", Decimal(-1), 0, "must be a number from 0 to 900; 0 applies"),
            ("batch_window_seconds", Decimal(1_000_000), 900, "must be a number from 0 to 900; 900 applies"),
            ("batch_window_seconds", Decimal("1E+125"), 900, "must be a number from 0 to 900; 900 applies"),
            ("batch_window_seconds", Decimal("1.5"), 10, "must be a number from 0 to 900; it is ignored"),
            ("batch_window_seconds", Decimal("NaN"), 10, "must be a number from 0 to 900; it is ignored"),
            ("batch_window_seconds", "20", 10, "must be a number from 0 to 900; it is ignored"),
            ("batch_window_seconds", True, 10, "must be a number from 0 to 900; it is ignored"),
            ("batch_window_seconds", {}, 10, "must be a number from 0 to 900; it is ignored"),
            ("batch_max_wait_seconds", Decimal(901), 900, "must be a number from 0 to 900; 900 applies"),
            ("on_new_message", "REJECT", "queue", "must be one of queue, restart, reject; it is ignored"),
            ("on_new_message", ["reject"], "queue", "must be one of queue, restart, reject; it is ignored"),
            ("stall_action", Decimal(1), "warn", "must be one of warn, handoff; it is ignored"),
            (
                "locked_notice",
                Decimal(7),
                SETTINGS.locked_notice,
                f"must be a text of at most {TEXT_LENGTH_MAX} characters; it is ignored",
            ),
        ],
    )
    def test_a_bad_value_is_ignored_or_becomes_the_nearest_bound(
        self, name: str, written: Any, applied: Any, fault: str
    ):
        """One finding, which names its place and never its value."""
        policy, findings = merged({name: written})

        assert getattr(policy, name) == applied
        assert findings == [f"{PLACE}.{name} {fault}"]

    @pytest.mark.parametrize("written", ["text", [], Decimal(1), True])
    def test_what_is_no_map_is_ignored(self, written: Any):
        """All the settings apply."""
        policy, findings = merged(written)

        assert policy == merge(SETTINGS, {}, "whatsapp").policy
        assert findings == [f"{PLACE} must be a map; it is ignored"]

    def test_reports_stay_on_while_a_company_acts_on_them(self):
        """The contradiction is found where it is written."""
        policy, findings = merged({"status_callbacks": False, "undelivered_action": "resend"})

        fault = "may be false only while undelivered_action is none; true applies"
        assert policy.status_callbacks
        assert [str(one) for one in findings] == [f"channel_config.whatsapp.policy.status_callbacks {fault}"]

    def test_null_counts_as_missing(self):
        """Null is how some writers spell the absence of a value."""
        assert merged({"batch_window_seconds": None})[1] == merged(None)[1] == []

    @pytest.mark.parametrize(
        ("name", "told"), [("batch_windows", "batch_windows"), ("sk-123 secret", "(another name)")]
    )
    def test_a_policy_that_is_unknown_is_found(self, name: str, told: str):
        """A misspelt name would otherwise go unnoticed; one that is no plain name is not repeated."""
        assert merged({name: Decimal(1)})[1] == [f"{PLACE}.{told} is unknown; it is ignored"]

    def test_a_long_text_is_cut_where_a_reader_would_pause(self):
        """The shortest of the channels takes so much as one message."""
        policy, findings = merged({"locked_notice": "A sentence of many. " * 200})

        assert TEXT_LENGTH_MAX - 30 < len(policy.locked_notice) <= TEXT_LENGTH_MAX
        assert findings == [f"{PLACE}.locked_notice must be a text of at most 1600 characters; it is cut"]


BELOW_WINDOW = "must be a number from 0 to 900, not below the window"


class TestWindowAndCap:
    def test_a_cap_below_the_window_becomes_the_window(self):
        """Else the cap would end a burst before its quiet period."""
        policy, findings = merged({"batch_window_seconds": Decimal(20), "batch_max_wait_seconds": Decimal(5)})

        assert (policy.batch_window_seconds, policy.batch_max_wait_seconds) == (20, 20)
        assert findings == [f"{PLACE}.batch_max_wait_seconds {BELOW_WINDOW}; 20 applies"]

    def test_a_window_alone_moves_the_cap_of_the_settings(self):
        """The company wrote no cap, so nothing that it wrote is not applied."""
        policy, findings = merged({"batch_window_seconds": Decimal(120)})

        assert policy.batch_max_wait_seconds == 120
        assert findings == []

    def test_a_cap_alone_is_held_to_the_window_of_the_settings(self):
        """The window of the settings is 10 seconds."""
        policy, findings = merged({"batch_max_wait_seconds": Decimal(3)})

        assert policy.batch_max_wait_seconds == 10
        assert findings == [f"{PLACE}.batch_max_wait_seconds {BELOW_WINDOW}; 10 applies"]

    @pytest.mark.parametrize("written", [Decimal(-3), Decimal(3)])
    def test_one_value_is_one_finding(self, written: Decimal):
        """A cap may be out of bounds and below the window at once."""
        _, findings = merged({"batch_max_wait_seconds": written})

        assert findings == [f"{PLACE}.batch_max_wait_seconds {BELOW_WINDOW}; 10 applies"]


class TestFormerPlace:
    def test_the_text_for_unknown_senders_may_stand_beside_the_policies(self):
        """Companies wrote it there before there were policies."""
        policy, findings = merged(None, unknown_sender_text="Who are you?")

        assert (policy.unknown_sender_text, findings) == ("Who are you?", [])

    def test_the_policy_wins(self):
        """Over the same text in the former place."""
        assert merged({"unknown_sender_text": ""}, unknown_sender_text="Who?")[0].unknown_sender_text == ""

    def test_a_policy_that_cannot_be_read_leaves_the_former_place(self):
        """It is ignored, so the next value applies."""
        policy, findings = merged({"unknown_sender_text": Decimal(1)}, unknown_sender_text="Who?")

        assert policy.unknown_sender_text == "Who?"
        assert [finding.split()[0] for finding in findings] == [f"{PLACE}.unknown_sender_text"]

    def test_a_value_there_that_cannot_be_read_is_found_there(self):
        """By its own place."""
        _, findings = merged(None, unknown_sender_text=["Who?"])

        assert [finding.split()[0] for finding in findings] == ["channel_config.whatsapp.unknown_sender_text"]


class TestKinds:
    @pytest.mark.parametrize(
        ("setting", "kind"),
        [
            ("batch_window_seconds", Number(0, 900)),
            ("stall_action", Word({"warn": "warn", "handoff": "handoff"})),
            ("media_copying", Word({"true": True, "false": False})),
            ("locked_notice", Text()),
        ],
    )
    def test_the_range_of_the_setting_is_the_kind(self, setting: str, kind: policies.Kind):
        """It is written once, with the setting."""
        assert kind_of_setting(setting) == kind

    @pytest.mark.parametrize(("written", "value"), [(True, True), (False, False), ("true", True)])
    def test_a_flag_is_a_boolean_or_its_word(self, written: Any, value: bool):
        """DynamoDB has booleans, the environment has words."""
        assert kind_of_setting("media_copying").read(written, None) == Reading(value)

    @pytest.mark.parametrize(
        "written", [["stop", " ende "], {"ende", "stop"}, "stop, ende"], ids=["list", "set", "as the setting"]
    )
    def test_a_list_is_read_as_its_setting_reads_it(self, written: Any):
        """Keywords are upper-case, however they are written."""
        kind = kind_of_setting("sms_stop_keywords")

        assert isinstance(kind, Names)
        assert set(kind.read(written, ()).value) == {"STOP", "ENDE"}

    @pytest.mark.parametrize("written", [Decimal(1), {}, ["stop", Decimal(1)], {Decimal(1)}, None])
    def test_a_list_that_holds_anything_but_texts_is_ignored(self, written: Any):
        """As a whole: half a list is not what the company wrote."""
        reading = kind_of_setting("sms_stop_keywords").read(written, ("STOP",))

        assert reading == Reading(("STOP",), (("", "must be a list of texts; it is ignored"),))

    def test_a_map_has_a_default_for_each_key(self):
        """What is missing or cannot be read leaves that of the settings; each fault has its place."""
        kind = MapOf({"failed": Word({"keep": "keep", "refuse": "refuse"}), "size": Number(1, 9)})

        reading = kind.read({"failed": "drop", "size": Decimal(10), "other": 1}, {"failed": "keep", "size": 5})

        assert reading.value == {"failed": "keep", "size": 9}
        assert reading.faults == (
            (".failed", "must be one of keep, refuse; it is ignored"),
            (".size", "must be a number from 1 to 9; 9 applies"),
            (".other", "is unknown; it is ignored"),
        )

    def test_what_is_no_map_leaves_the_default(self):
        """Where a map is due."""
        kind = MapOf({"failed": Word({"keep": "keep"})})

        assert kind.read("keep", {"failed": "x"}).value == {"failed": "x"}
        assert str(kind) == "a map of failed: one of keep"

    @pytest.mark.parametrize("one", fields(Policy), ids=lambda one: one.name)
    def test_the_default_is_a_setting_of_the_same_name(self, one):
        """So that an operator has one name to look for."""
        assert one.name in {setting.name for setting in fields(Settings)}


class TestDocs:
    def test_the_table_in_the_docs_is_the_code_s(self):
        """Name, values and note of each policy, in the same order, word for word."""
        section = DOCS.partition("## A company's policies")[2].partition("\n## ")[0]

        rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)

        assert rows == [(one.name, str(kind_of(one)), one.metadata["note"]) for one in fields(Policy)]


def world_of(**policy: Any) -> tuple[Policies, RecordingTelemetry, Trail]:
    telemetry = RecordingTelemetry()
    return Policies(SETTINGS), telemetry, Trail(telemetry, FakeClock())


class Company:
    """What a row says of a company."""

    def __init__(self, tenant: str, written: Any) -> None:
        self.tenant = tenant
        self.channel_config = {"whatsapp": {"policy": written}}


class TestPolicies:
    def test_each_bad_value_is_warned_of_once_per_process_and_company(self):
        """Not with every message, which could fill the logs."""
        ask, telemetry, trail = world_of()
        bad = {"batch_window_seconds": Decimal(-1), "on_new_message": "never"}

        for tenant in ("acme", "acme", "other"):
            assert ask.of(Company(tenant, bad), "whatsapp", trail).batch_window_seconds == 0

        assert {line["step"] for line in telemetry.lines} == {Step.POLICY_NOT_APPLIED.value}
        assert [(line["tenant"], line["level"], line["reason"].split()[0]) for line in telemetry.lines] == [
            (tenant, "warning", f"{PLACE}.{name}")
            for tenant in ("acme", "other")
            for name in ("batch_window_seconds", "on_new_message")
        ]

    def test_what_is_remembered_is_bounded(self, monkeypatch: pytest.MonkeyPatch):
        """The oldest goes; it is warned of again when it is met again."""
        monkeypatch.setattr(policies, "_WARNED_MAX", 2)
        ask, telemetry, trail = world_of()

        for tenant in ("a", "b", "c", "c", "b", "a"):
            ask.of(Company(tenant, "no map"), "whatsapp", trail)

        assert [line["tenant"] for line in telemetry.lines] == ["a", "b", "c", "a"]
        assert len(ask._warned) == 2

    def test_a_finding_is_a_value(self):
        """Two processes find the same."""
        assert Finding("a", "b") == Finding("a", "b")
        assert str(Finding("a", "is bad")) == "a is bad"


ANYTHING = some.recursive(
    some.none()
    | some.booleans()
    | some.text(max_size=20)
    | some.decimals()
    | some.integers()
    | some.binary(max_size=4)
    | some.frozensets(some.text(max_size=4), max_size=3),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = some.sampled_from([one.name for one in fields(Policy)]) | some.text(max_size=8)


@given(
    written=ANYTHING | some.dictionaries(NAMES, ANYTHING, max_size=4),
    former=ANYTHING,
    window=some.integers(-5, 1_000) | some.none(),
)
def test_whatever_a_company_writes_its_policy_is_complete_and_within_bounds(written: Any, former: Any, window: Any):
    """A `Policy` that exists can be relied on: the window does not exceed the cap, and each word is known."""
    if isinstance(written, dict) and window is not None:
        written["batch_window_seconds"] = Decimal(window)

    policy, findings = merged(written, unknown_sender_text=former)

    assert 0 <= policy.batch_window_seconds <= policy.batch_max_wait_seconds <= 900
    assert policy.on_new_message in ("queue", "restart", "reject")
    assert policy.stall_action in ("warn", "handoff")
    texts = (policy.locked_notice, policy.unknown_sender_text)
    assert all(isinstance(text, str) and len(text) <= TEXT_LENGTH_MAX for text in texts)
    assert all(finding.startswith("channel_config.whatsapp.") for finding in findings)
