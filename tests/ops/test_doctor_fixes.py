"""The doctor finds each planted fault in one run, and what it says to do leaves nothing to find."""

from __future__ import annotations

import pytest

from local.stubs.twilio import TwilioStub
from ops.doctor.examination import Asked, examine
from ops.doctor.findings import Finding, Weight
from tests.ops.conftest import Stage, redeploy
from tests.ops.fixing import run_fix
from tests.ops.planted import PLANTED, set_console
from tests.ops.serving import served

_ALWAYS = "PUBLIC_BASE_URL is empty"
"""The one warning of the stage as it is made."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_alone_and_its_fix_leaves_nothing_to_find(stage: Stage, twilio: TwilioStub, name: str):
    """One line for one fault: what is wrong, and the one command or step that fixes it."""
    one = PLANTED[name]
    with served() as (_, url):
        set_console(stage, url)
        asked = Asked(url=None if one.area == "webhooks" else url)
        one.plant(stage)

        (found,) = findings(stage, asked)
        run_fix(stage, found.fix, typed=one.typed, by_hand=one.by_hand)

        assert (found.area, one.what in found.what, one.fix in found.fix) == (one.area, True, True), found
        assert found.weight is (Weight.WARNING if one.is_warning else Weight.FAULT)
        assert "\n" not in found.line
        assert findings(stage, Asked(url=url)) == []


def test_a_stage_that_is_sound_has_nothing_to_find(stage: Stage, twilio: TwilioStub):
    """What the test above finds was planted there; a deployment over it changes nothing."""
    with served() as (_, url):
        set_console(stage, url)
        assert findings(stage, Asked(url=url)) == []

        redeploy(stage)

        assert findings(stage, Asked(url=url)) == []


def test_all_faults_at_once_are_found_in_one_run(stage: Stage, twilio: TwilioStub):
    """Those that hide no other."""
    names = [
        "a missing index",
        "a missing queue",
        "no redrive",
        "the time to live off",
        "a schedule that is off",
        "a token that Twilio does not accept",
        "a dead letter",
        "a bucket that could be made public",
        "a function that ends too late",
        "a paused project",
    ]
    with served() as (_, url):
        set_console(stage, url)
        for name in names:
            PLANTED[name].plant(stage)

        told = [one.what for one in findings(stage, Asked(url=url))]

    assert [name for name in names if not any(PLANTED[name].what in one for one in told)] == []
    assert len(told) == len(names)


def findings(stage: Stage, asked: Asked) -> list[Finding]:
    """Everything that the doctor finds, beside what is always there."""
    found = [one for area in examine(stage.find(), asked) for one in area.findings]
    return [one for one in found if not one.what.startswith(_ALWAYS)]
