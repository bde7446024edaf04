"""How staged messages end: settled once they are dispatched, appended and never answered, refused, or duplicates.

Guarantee: a row is settled only for a message that has ended; a row that came later stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from chalicelib.batches import actions
from chalicelib.batches.job import Job, Next, next_of
from chalicelib.conversations import staged_contexts, views
from chalicelib.conversations.opt_out import report_refusal, report_request
from chalicelib.conversations.views import Gone, View
from chalicelib.errors import Code
from chalicelib.messages.inbound import OptOut
from chalicelib.protocol import record_writes, staging
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.lock_changes import Changed
from chalicelib.protocol.record_writes import Appended
from chalicelib.telemetry import Level, Metric, Step, Trail


def settle(job: Job, view: View, ended_ids: Collection[str]) -> None:
    """Settle the rows of these messages and of those that ended before; a row that came later stays.

    A message that a rule refused, or that opted out or in, and whose row is there still, was perhaps not reported.
    """
    rows = [message.message_sid for message in view.staged if message.message_sid in ended_ids]
    ended_before = [one.message_sid for one in view.duplicates if one.message_sid not in ended_ids]
    for sid in ended_before:
        entry = view.entries.get(sid, {})
        if "refused" in entry or "opt_out" in entry:
            report_kept(entry, job.trail)
        else:
            job.trail.log(Step.DUPLICATE, message_sid=sid)
            job.trail.count(Metric.DUPLICATE, outcome="answered")
    staging.settle(job.tables.stage, job.trigger.conversation, dict.fromkeys([*rows, *ended_before]))
    job.trail.log(Step.SETTLED, Level.DEBUG, count=len(rows))


def keep(job: Job, view: View, action: actions.Keep, *, now: datetime) -> Next | Changed:
    """Append messages that nobody answers, and settle them."""
    if action.opt_out_marks and staging.read(job.tables.stage, job.trigger.conversation) != view.staged:
        return Changed()  # O3: read once more, after the record: a STOP may have come in.
    entries = [
        staged_contexts.entry(one.context, refused=action.marks[one.message_sid])
        if one.message_sid in action.marks
        else staged_contexts.entry(one.context, opt_out=one.opt_out or one.opt_out_keyword)
        for one in action.messages
    ]
    outcome = record_writes.append(job.tables.conversations, view.record, entries, now=now, marks=action.opt_out_marks)
    if isinstance(outcome, Appended):
        for entry in entries:
            report_kept(entry, job.trail)
        settle(job, view, [one.message_sid for one in action.messages])
    return next_of(outcome)


def refuse_carried(job: Job, view: View, codes: Mapping[str, Code], *, now: datetime) -> Next | Changed:
    """A rule refuses now what an earlier batch left unanswered."""
    told = {one: code.value for one, code in codes.items()}
    outcome = record_writes.refuse_carried(job.tables.conversations, view.record, told, now=now)
    if isinstance(outcome, Appended):
        for one, code in told.items():
            report_refusal(one, code, job.trail)
        settle(job, view, codes)
    return next_of(outcome)


def refuse_all(job: Job, gone: Gone) -> Next:
    """The conversation is gone, and its messages are refused."""
    if gone.message_sids:
        staging.settle(job.tables.stage, job.trigger.conversation, gone.message_sids)
        code, count = Code.CONVERSATION_NOT_FOUND.value, len(gone.message_sids)
        job.trail.log(Step.REFUSED, Level.ERROR, code=code, count=count)
        job.trail.count(Metric.REFUSED, count, outcome=code)
    return Next.DONE


def report_kept(entry: views.Entry, trail: Trail) -> None:
    """Report why nobody answers a message, under the message's own channel."""
    channel = entry.get("channel_type")
    trail = trail.with_fields(channel=channel) if isinstance(channel, str) else trail
    if "refused" in entry:
        report_refusal(entry[MESSAGE_ID], entry["refused"], trail)
    else:
        report_request(OptOut(entry["opt_out"]).value, trail.with_fields(message_sid=entry[MESSAGE_ID]))
