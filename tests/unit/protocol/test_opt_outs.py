"""Opt-out marks: what a STOP and a START write, whatever stood there before."""

from __future__ import annotations

import itertools

import pytest

from chalicelib.errors import Code, Misconfigured
from chalicelib.protocol.opt_outs import OptOutMarks

CHANNELS = ("email", "sms", "whatsapp")
STATES = [
    {"opted_out_channels": list(some), **mark}
    for size in range(4)
    for some in itertools.combinations(CHANNELS, size)
    for mark in ({}, {"opted_out": True}, {"opted_out": False})
]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("item", STATES, ids=str)
def test_a_stop_stops_its_channel_and_leaves_the_others_as_they_were(item: dict, channel: str):
    """O1: from each state."""
    before = OptOutMarks.from_item(item)

    after = OptOutMarks.from_item({**item, **before.after_stop(channel)})

    assert after.stops(channel)
    assert all(after.stops(one) == before.stops(one) for one in CHANNELS if one != channel)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("item", STATES, ids=str)
def test_a_start_restores_its_channel_and_no_other_that_has_a_mark_of_its_own(item: dict, channel: str):
    """O1; O2: a mark of the whole record goes with the first START, as it did when it was written."""
    before = OptOutMarks.from_item(item)

    after = OptOutMarks.from_item({**item, **before.after_start(channel)})

    assert not after.stops(channel)
    assert after.channels == before.channels - {channel}
    assert not after.is_of_record


def test_a_mark_of_the_whole_record_stops_every_channel():
    """O2."""
    marks = OptOutMarks.from_item({"opted_out": True})

    assert all(marks.stops(channel) for channel in CHANNELS)


@pytest.mark.parametrize("told", ["yes", 1, None, {}])
def test_what_is_not_true_is_no_mark(told: object):
    """The company's own systems may have written it."""
    assert not OptOutMarks.from_item({"opted_out": told}).stops("sms")


@pytest.mark.parametrize("told", ["sms", 7, [1], {"sms": True}])
def test_marks_of_a_shape_that_we_never_write_are_our_fault(told: object):
    """Told by the attribute's name; nothing is sent meanwhile."""
    with pytest.raises(Misconfigured) as fault:
        OptOutMarks.from_item({"opted_out_channels": told})

    assert fault.value.code is Code.DB_QUERY_ERROR
    assert "opted_out_channels" in fault.value.detail
