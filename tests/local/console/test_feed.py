"""A page gets the whole at first, then each change; what was overwritten meanwhile is skipped."""

from __future__ import annotations

from local.console.feed import Feed


def test_a_new_page_gets_every_topic_in_the_order_of_change():
    feed = Feed()
    feed.publish("ledger", {"lost": 0})
    feed.publish("phone:anna", {"name": "Anna"})
    feed.publish("ledger", {"lost": 1})

    version, changes = feed.changes(0)

    assert (version, changes) == (3, [("phone:anna", '{"name":"Anna"}'), ("ledger", '{"lost":1}')])


def test_a_page_that_knows_all_gets_nothing():
    feed = Feed()
    feed.publish("ledger", 1)
    version, _ = feed.changes(0)

    feed.publish("ledger", 1)  # the same value again

    assert feed.changes(version) == (version, [])


def test_a_slow_page_gets_the_latest_value_only():
    feed = Feed()
    feed.publish("ledger", 1)
    version, _ = feed.changes(0)
    feed.publish("ledger", 2)
    feed.publish("ledger", 3)

    assert feed.changes(version) == (3, [("ledger", "3")])
