"""The parts of a reply: each is claimed, sent once, and concluded. A part in doubt is looked up at the provider.

If a table fails while a part is claimed or given back, the part was certainly not sent. The reply comes again with the
token of that claim. So its next try claims the part again and does not treat it as one in doubt.

If the provider's list lacks a part in doubt, its end depends on the doubt. After a lost answer or a crash the outcome
is unknown. After a 5xx the list is read once more, and then the part is sent once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from math import ceil

from chalicelib.channels.channel import Vendor
from chalicelib.channels.outcomes import Table
from chalicelib.channels.refusals import Told, ask
from chalicelib.channels.sender import InDoubt, OutboundPart, PermanentFailure, Sender, Sent, TemporaryFailure
from chalicelib.clock import Clock, from_iso
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.opt_out import mark_opted_out
from chalicelib.errors import EngineError, Misconfigured, ReplyCode, TryAgain
from chalicelib.outbound.job import Done, Entry, Job, Later
from chalicelib.outbound.planning import Plan, Planning, send_id_of
from chalicelib.protocol import send_rows, sends
from chalicelib.protocol.entries import waited
from chalicelib.protocol.send_rows import Part, State
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step

LISTED_AFTER_SECONDS = 60
"""Age at which a message that the provider's list lacks was not taken."""


@dataclass(frozen=True)
class _JustSent(Sent):
    """A part that this process sent and has not counted yet."""


@dataclass(frozen=True, kw_only=True)
class PartSending:
    """Sends the parts of replies."""

    planning: Planning
    senders: Mapping[str, Sender]
    codes: Mapping[Vendor, Table]
    clock: Clock
    settings: Settings

    def send(
        self,
        job: Job,
        conversation: Conversation,
        plan: Plan,
        *,
        still_ours: Callable[[], bool] | None = None,
        answered: Sequence[Entry] = (),
    ) -> Done | Later:
        """Send each part that was not sent yet, in order; stop at the first that is not.

        Args:
            job: the reply.
            conversation: as read.
            plan: what is to be sent.
            still_ours: asked before each part after the first; False: people took over, and nothing new is sent.
            answered: the messages whose turn ends with the reply: how long they waited is measured with its last part.
        """
        entries: list[Entry] = []
        for at, wanted in enumerate(plan.parts, start=1):
            if at > 1 and plan.refusal is None and still_ours is not None and not still_ours():  # I8
                plan = replace(plan, refusal=ReplyCode.TAKEN_OVER)
            part = Part(
                send_id=wanted.send_id,
                conversation=conversation.key,
                tenant=conversation.tenant,
                channel=plan.channel.name,
                credential_ref=plan.credential_ref,
                reply_id=job.reply.reply_id,
                batch_id=job.reply.batch_id,
                number=plan.resends.number if plan.resends is not None else at,
                count=plan.resends.count if plan.resends is not None else len(plan.parts),
                entry=self.planning.entry(job.reply, plan, wanted),
                content_variables=wanted.content_variables,
                answered_ids=plan.answered_ids,
                resends=plan.resends.send_id if plan.resends is not None else None,
                token=f"{job.token}-{at}",
            )
            outcome = self._send_part(job, part, wanted, plan)
            match outcome:
                case Sent(sid):
                    is_last = at == len(plan.parts)
                    self._measure(job, answered if is_last else (), is_new=isinstance(outcome, _JustSent))
                    entries.append(send_rows.outbound(replace(part, provider_sid=sid)))
                case Later():
                    # Once a part was sent the claim is kept, for no other reply may follow half of this one.
                    gives_back = outcome.gives_claim_back and not entries
                    return replace(outcome, gives_claim_back=gives_back, entries=tuple(entries))
                case code:
                    withheld = "\n\n".join(one.body for one in plan.parts[at - 1 :] if one.body)
                    return Done(tuple(entries), code, withheld if entries else None)
        return Done(tuple(entries), None, "")

    def _measure(self, job: Job, answered: Sequence[Entry], *, is_new: bool) -> None:
        """Count a part that was sent just now, and in the same line how long the answered messages waited."""
        told: dict[Metric, float] = {Metric.REPLY_SENT: 1} if is_new else {}
        if answered:
            told[Metric.RECEIPT_TO_REPLY] = waited(answered, self.clock.now()).total_seconds()
        if told:
            job.trail.measure(told)

    def _send_part(self, job: Job, part: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        """Send one part, unless it was sent or is in doubt: then find out. A text is an error's code."""
        if plan.refusal is not None or job.deadline.has_passed:
            before = sends.find(job.tables.sends, part.send_id)
            if before is None or (before.token in job.reply.unsent_claims and not before.is_sent_again):
                return plan.refusal or Later("NO_TIME_LEFT", 0, gives_claim_back=True)
            found = before
        else:
            claimed = self._claim(job, part, plan)
            if isinstance(claimed, Later):
                return claimed
            found = claimed
        match found.state:
            case State.SENT:
                return Sent(found.provider_sid or part.send_id)
            case State.REFUSED:
                code = found.error_code or "REFUSED"
                if self._is_opt_out(plan.channel.vendor, code):
                    self._mark_opted_out(job, plan.channel.name)  # whoever learned that may have died before marking it
                return code
            case State.CLAIMED if found.token == part.token:
                return self._send_once(job, part, wanted, plan)
            case State.CLAIMED if found.is_sent_again and found.token in job.reply.unsent_claims:
                unsent = self._give_back(job, found)
                return Later("IN_DOUBT", 0, gives_claim_back=False, unsent_claims=unsent)
            case State.CLAIMED | State.UNKNOWN:
                return self._reconcile(job, part, found, wanted, plan)

    def _claim(self, job: Job, part: Part, plan: Plan) -> Part | Later:
        """The part's row; or later, where it may be claimed and this try has certainly not sent it.

        An earlier try may have: then the claim on the record stays.
        """
        try:
            return sends.claim(
                job.tables.sends,
                part,
                token=part.token,
                now=self.clock.now(),
                ttl_hours=self.settings.sends_ttl_hours,
                unsent=job.reply.unsent_claims,
            )
        except (TryAgain, Misconfigured) as fault:
            _report(job, part, fault)
            self._give_back(job, part)  # for another delivery of this reply, which does not know the token
            return Later(fault.code.value, 0, gives_claim_back=not plan.is_begun, unsent_claims=(part.token,))

    def _claim_again(self, job: Job, part: Part, found: Part) -> Part | Later:
        """The part's row, claimed for its second send or as another process left it; or later, as `_claim` says."""
        again = replace(found, token=part.token, first_claimed_at=found.claimed_at)
        try:
            return sends.claim_again(job.tables.sends, found, token=part.token, now=self.clock.now())
        except (TryAgain, Misconfigured) as fault:
            _report(job, part, fault)
            self._give_back(job, again)
            return Later(fault.code.value, 0, gives_claim_back=False, unsent_claims=(part.token,))

    def _give_back(self, job: Job, part: Part) -> tuple[str, ...]:
        """Free a part that was certainly not sent; its token, where that met a fault."""
        try:
            sends.give_back(job.tables.sends, part, token=part.token)
        except (TryAgain, Misconfigured) as fault:
            _report(job, part, fault)
            return (part.token,)
        return ()

    def _send_once(self, job: Job, part: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        table = job.tables.sends
        try:
            outcome = self._ask(plan, partial(self.senders[plan.channel.name].send, wanted))
        except Misconfigured as fault:
            # A secret that cannot send: nothing was, and the reply waits for whoever mends it.
            unsent = self._give_back(job, part)
            job.trail.fault(Step.FAILED, fault, count=part.number)
            job.trail.count(Metric.SECRET_FAILURE, outcome=fault.code.value)
            return Later(fault.code.value, 0, gives_claim_back=not part.is_sent_again, unsent_claims=unsent)
        match outcome:
            case Sent(sid):
                sends.conclude(table, part, State.SENT, sid=sid)
                job.trail.log(Step.SENT, message_sid=sid, count=part.number)
                return _JustSent(sid)
            case PermanentFailure(code, is_opt_out):
                sends.conclude(table, part, State.REFUSED, error_code=code)
                if is_opt_out:
                    self._mark_opted_out(job, plan.channel.name)
                return code
            case TemporaryFailure(code, after_seconds, is_ours_to_mend):
                unsent = self._give_back(job, part)
                if is_ours_to_mend:
                    job.trail.log(Step.ACCOUNT_FAULT, Level.ERROR, code=code, count=part.number)
                    job.trail.count(Metric.ACCOUNT_FAULT)
                return Later(code, after_seconds, gives_claim_back=not part.is_sent_again, unsent_claims=unsent)
            case InDoubt(is_server_error, code):
                is_provable = is_server_error and self.senders[plan.channel.name].lists_every_message
                sends.conclude(table, part, State.UNKNOWN, is_server_error=is_provable)
                job.trail.log(Step.IN_DOUBT, Level.WARNING, count=part.number, code=code)
                return Later("IN_DOUBT", self.settings.reconcile_after_seconds, gives_claim_back=False)

    def _reconcile(self, job: Job, part: Part, found: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        """A part that is in doubt: look it up in the provider's list; after a 5xx it may be sent once more."""
        left = timedelta(seconds=self.settings.reconcile_after_seconds) - found.unread(self.clock.now())
        if left > timedelta(0):
            return Later("IN_DOUBT", ceil(left.total_seconds()), gives_claim_back=False)
        # What the record or another part's row knows of is no proof of this one, though it may say the same.
        taken = _sids_of_other_parts(job, found) | plan.known_sids
        find, since = self.senders[plan.channel.name].find, from_iso(found.tried_since)
        listed = self._ask(plan, partial(find, wanted, since=since))
        sids = [sid for sid in listed if sid not in taken]
        if sids:
            sends.conclude(job.tables.sends, found, State.SENT, sid=sids[-1])
            job.trail.log(Step.RECONCILED, Level.WARNING, message_sid=sids[-1], count=found.number)
            return Sent(sids[-1])
        if found.may_be_sent_again and plan.refusal is None:
            return self._missed(job, part, found, wanted, plan)
        sends.conclude(job.tables.sends, found, State.REFUSED, error_code=ReplyCode.UNKNOWN_OUTCOME)
        return ReplyCode.UNKNOWN_OUTCOME

    def _missed(self, job: Job, part: Part, found: Part, wanted: OutboundPart, plan: Plan) -> Sent | Later | str:
        """The provider answered with a 5xx, and its list lacks the part: read it again, then send once more."""
        now = self.clock.now()
        too_young = timedelta(seconds=LISTED_AFTER_SECONDS) - found.age(now)
        if too_young > timedelta(0):
            return Later("IN_DOUBT", ceil(too_young.total_seconds()), gives_claim_back=False)
        if found.misses + 1 < sends.MISSES_NEEDED:
            sends.miss(job.tables.sends, found, now=now)
            return Later("IN_DOUBT", self.settings.reconcile_after_seconds, gives_claim_back=False)
        if job.deadline.has_passed:
            return Later("NO_TIME_LEFT", 0, gives_claim_back=False)
        claimed = self._claim_again(job, part, found)
        if isinstance(claimed, Later):
            return claimed
        if claimed.token != part.token or claimed.state is not State.CLAIMED:
            return Later("IN_DOUBT", 0, gives_claim_back=False)  # another process has claimed it, or it is proven
        job.trail.log(Step.SENT_AGAIN, Level.WARNING, count=part.number)
        return self._send_once(job, replace(part, first_claimed_at=claimed.first_claimed_at), wanted, plan)

    def _ask(self, plan: Plan, call: Callable[[str], Told]) -> Told:
        return ask(self.planning.credentials, plan.credential_ref, plan.secret, call)

    def _is_opt_out(self, vendor: Vendor, code: str) -> bool:
        return code == self.codes[vendor].opted_out

    def _mark_opted_out(self, job: Job, channel: str) -> None:
        mark_opted_out(job.tables, job.reply.conversation, channel, self.clock, self.settings.context_attributes)


def _sids_of_other_parts(job: Job, found: Part) -> frozenset[str]:
    """The provider's ids of the parts before this one, which may say the same."""
    others = (sends.find(job.tables.sends, send_id_of(job.reply, one)) for one in range(1, found.number))
    return frozenset(one.provider_sid for one in others if one and one.provider_sid)


def _report(job: Job, part: Part, fault: EngineError) -> None:
    job.trail.fault(Step.FAILED, fault, Level.WARNING, count=part.number)
    job.trail.count(Metric.FAULT, outcome=fault.code.value)
