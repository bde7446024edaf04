"""The checks after the demo: each compares exactly what is expected with what is there."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from local.demo.outcome import Check, Outcome, sids_of, told_of
from local.demo.scenario import BACK_TO_THE_AI, BATCHES, FROM_A_PERSON, PHOTO, SETTINGS
from local.stack import STAGE
from local.stubs.ai import reply_to
from local.stubs.twilio import BODY_LENGTH_MAX
from local.tenants import MAIL, NORDIC, SUNRISE, TENANTS, Tenant


def answers(outcome: Outcome) -> Iterator[Check]:
    """How each request of Twilio's was answered."""
    told = {name: sent.told for name, sent in outcome.sent.items()}
    notice, rejected = told.pop("anna-later", None), told.pop("david-later", None)
    yield Check("every other request of Twilio's is answered 200 without a text", dict.fromkeys(told, (200, "")), told)
    yield Check("a message to a locked conversation is answered with the notice", (200, outcome.notice), notice)
    policy = NORDIC.policies["sms"]
    yield Check(
        "a message that a company's policy rejects is answered with the company's own notice",
        (200, policy["locked_notice"]),
        rejected,
    )
    yield Check(
        "each company's burst is as long as its policy or the settings say",
        ([policy["batch_window_seconds"]], [int(SETTINGS["BATCH_WINDOW_SECONDS"])] * 2),
        tuple(
            [one["seconds"] for one in outcome.told("triggered", company, customer) if "seconds" in one]
            for company, customer in ((NORDIC, "david"), (SUNRISE, "anna"))
        ),
    )


def batches(outcome: Outcome) -> Iterator[Check]:
    """What the AI got."""
    ids = [batch["meta"]["batch_id"] for batch in outcome.batches]
    yield Check(f"{BATCHES} batches reached the AI, each of them once", (BATCHES, BATCHES), (len(ids), len(set(ids))))
    yield Check("no batch came to the AI again", [], outcome.steps["known_batch"])
    anna = outcome.batches_of(SUNRISE, "anna")
    yield Check(
        "Anna's burst is one batch in its order, the repeated message in it once; what she wrote later is the next",
        [
            [outcome.sid("anna-text"), outcome.sid("anna-photo"), outcome.sid("anna-button")],
            [outcome.sid("anna-later")],
        ],
        [sids_of(batch) for batch in anna],
    )
    first = anna[0]["messages"] if anna else []
    yield Check(
        "it carries the text, the photo without a text, and the pressed button",
        [(outcome.sent["anna-text"].message.body, None), ("", PHOTO), ("Yes, book it", None)],
        [(one["body"], one["media"][0]["url"] if one["media"] else None) for one in first],
    )
    yield Check(
        "the next batch has the first one and its answer as history",
        [*sids_of(anna[0]), "OUTBOUND"] if anna else None,
        [told_of(entry) for entry in anna[-1]["history"]][1:] if anna else None,
    )
    for customer in ("david", "edith", "frida"):
        yield Check(
            f"{customer.capitalize()}'s SMS is a batch of the other company's",
            [([outcome.sid(customer)], NORDIC.company_id)],
            [(sids_of(batch), batch["company"]["company_id"]) for batch in outcome.batches_of(NORDIC, customer)],
        )


def second_thought(outcome: Outcome) -> Iterator[Check]:
    """What the AI got of Mia, and what she got."""
    mia, later = outcome.sid("mia"), outcome.sid("mia-later")
    found = outcome.batches_of(SUNRISE, "mia")
    yield Check(
        "what Mia added while the AI thought is with the rest in one larger batch, which supersedes the first",
        ([[mia], [mia, later]], [[], [found[0]["meta"]["batch_id"]]] if found else None),
        ([sids_of(batch) for batch in found], [batch["meta"]["supersedes"] for batch in found]),
    )
    yield Check(
        "her phone shows one answer, to both; the answer to the first batch alone was refused",
        ([reply_to(found[-1])["body"]] if found else None, ["STALE_REPLY"]),
        (
            [one["body"] for one in outcome.phone(SUNRISE, "mia")],
            [one["code"] for one in outcome.told("reply_refused", SUNRISE, "mia")],
        ),
    )


def phones(outcome: Outcome) -> Iterator[Check]:
    """What the customers see: one reply to each burst, with its delivery statuses."""
    burst, *rest = outcome.phone(SUNRISE, "anna") or [{}]
    answers = [reply_to(batch)["body"] for batch in outcome.batches_of(SUNRISE, "anna")]
    yield Check("Anna's phone shows one reply to her burst", answers[:1], [burst.get("body")])
    parts = [one["body"] for one in rest]
    yield Check(
        f"the long reply to what she wrote later is two messages of at most {BODY_LENGTH_MAX} characters, in order",
        (2, True, answers[1:]),
        (len(parts), all(len(part) <= BODY_LENGTH_MAX for part in parts), [" ".join(parts)]),
    )
    for customer in ("david", "edith"):
        yield Check(
            f"{customer.capitalize()}'s phone shows one reply",
            [reply_to(batch)["body"] for batch in outcome.batches_of(NORDIC, customer)],
            [one["body"] for one in outcome.phone(NORDIC, customer)],
        )
    yield Check(
        "Clara's phone shows the person's answer, once",
        [FROM_A_PERSON],
        [one["body"] for one in outcome.phone(SUNRISE, "clara")],
    )
    sids = {one["sid"] for one in outcome.deliveries}
    yield Check("no other phone shows anything", 11, len(outcome.deliveries))
    mails = {one["id"] for one in outcome.mails}
    yield Check(
        "each message on a phone has one row: sent, delivered; each e-mail has one: sent, without further reports",
        dict.fromkeys(sids, ("sent", "delivered")) | dict.fromkeys(mails, ("sent", None)),
        {sid: (row["send_state"], row.get("delivery_status")) for sid, row in outcome.sends.items()},
    )
    yield Check(
        "every status callback was signed, proven and answered 204; Clara's came in the wrong order and twice",
        ({204}, ["delivered", "sent", "queued", "delivered"]),
        (
            {answer for one in outcome.deliveries for _, answer in one["callbacks"]},
            [status for one in outcome.phone(SUNRISE, "clara") for status, _ in one["callbacks"]],
        ),
    )
    yield Check(
        "the records name the messages that the phones and the mailboxes got",
        sids | mails,
        {entry["message_id"] for row in outcome.records.values() for entry in row["messages"] if "send_id" in entry},
    )


def repair(outcome: Outcome) -> Iterator[Check]:
    """After the worker died."""
    died = outcome.died
    yield Check(
        "the worker died of SIGKILL while it held the lock",
        (-signal.SIGKILL, "processing_reply", True),
        (died.code, died.locked_status, died.locked_batch is not None),
    )
    yield Check(
        "its trigger came again and resumed the same batch",
        [died.locked_batch],
        [batch["meta"]["batch_id"] for batch in outcome.batches_of(NORDIC, "edith")],
    )
    yield Check("no other batch had to be resumed", 1, len(outcome.steps["resumed"]))


def bad_day_at_twilio(outcome: Outcome) -> Iterator[Check]:
    """The replies that Twilio refused, or whose answer was lost."""
    yield Check(
        "Twilio's 429 to David's reply was heeded and the reply came again",
        [("20429", 2)],
        [
            (one["reason"], one["seconds"])
            for one in outcome.told("requeued", NORDIC, "david")
            if "20429" in one["reason"]
        ],
    )
    yield Check(
        "after the lost answer Edith's reply was looked up in Twilio's list, and not sent again",
        ([None], [one["sid"] for one in outcome.phone(NORDIC, "edith")]),
        _doubts(outcome, NORDIC, "edith"),
    )
    yield Check(
        "Twilio took Anna's first reply and answered 500: it was found in Twilio's list, and not sent again",
        (["20500"], [one["sid"] for one in outcome.phone(SUNRISE, "anna")[:1]]),
        _doubts(outcome, SUNRISE, "anna"),
    )
    yield Check(
        "the second reply to David's batch, the one to Lars (taken over by people), Mia's stale one, and no other, was "
        "refused by name",
        (["SECOND_REPLY"], ["TAKEN_OVER"], 3),
        (
            [one["code"] for one in outcome.told("reply_refused", NORDIC, "david")],
            [one["code"] for one in outcome.told("reply_refused", SUNRISE, "lars")],
            len(outcome.steps["reply_refused"]),
        ),
    )


def _doubts(outcome: Outcome, company: Tenant, customer: str) -> tuple[list[str | None], list[str]]:
    """The codes with which a customer's replies came to be in doubt, and the sids that Twilio's list had of them."""
    in_doubt, reconciled = (outcome.told(step, company, customer) for step in ("send_in_doubt", "reconciled"))
    codes = [one.get("code") for one in in_doubt]
    return codes, [one["message_sid"] for one in reconciled]


def opt_out(outcome: Outcome) -> Iterator[Check]:
    """What STOP did."""
    yield Check("Frida's STOP was recognised", ["STOP"], [one["outcome"] for one in outcome.steps["opt_out"]])
    yield Check(
        "the reply that was on its way to her was refused, and nothing sent",
        (["OPTED_OUT"], []),
        (
            [one.get("code") for one in outcome.told("released", NORDIC, "frida")],
            outcome.phone(NORDIC, "frida"),
        ),
    )
    record = outcome.record(NORDIC, "frida")
    yield Check(
        "her record says so",
        (["sms"], "OPTED_OUT"),
        (record.get("opted_out_channels"), record.get("processing_error_code")),
    )


def handoffs(outcome: Outcome) -> Iterator[Check]:
    """What was handed to people."""
    yield Check(
        "Clara's message, Jonas's first two, Lars's, and nothing else, was handed off",
        sorted([outcome.sid(name)] for name in ("clara", "jonas", "jonas-more", "lars")),
        sorted(map(sids_of, outcome.handoffs)),
    )


def refusals(outcome: Outcome) -> Iterator[Check]:
    """What was refused."""
    refused = {
        (fields.get("message_sid"), fields.get("code"))
        for fields in outcome.steps["refused"]
        if fields.get("channel") != MAIL
    }
    yield Check(
        "the forged, the inactive project's and the opted-out customer's message, and no other, were refused by name",
        {
            (outcome.sid("forged"), "INVALID_SIGNATURE"),
            (outcome.sid("ben"), "PROJECT_INACTIVE"),
            (outcome.sid("frida-after"), "OPTED_OUT"),
        },
        refused,
    )


def whole_turns(outcome: Outcome) -> Iterator[Check]:
    """Turns of the AI that are no answer alone."""
    yield Check("the AI had nothing to say to Ida, once", 1, len(outcome.told("no_reply", SUNRISE, "ida")))
    handoffs = {one["conversation"]["conversation_id"]: one["handoff"] for one in outcome.handoffs}
    jonas, lars = (SUNRISE.conversation_id(SUNRISE.customer(name)) for name in ("jonas", "lars"))
    yield Check(
        "people received who asked for them, and why",
        (("ai", "the customer asks for a person"), ("company", None)),
        tuple((handoffs[one]["requested_by"], handoffs[one]["reason"]) for one in (jonas, lars)),
    )
    (batch,) = outcome.batches_of(SUNRISE, "lars")
    yield Check("the AI's answer to Lars is their draft", reply_to(batch)["body"], handoffs[lars]["draft"])
    first, *_, last = outcome.batches_of(SUNRISE, "jonas")
    yield Check(
        "Jonas's phone shows the AI's words, the person's, and after the return the AI's answer",
        [reply_to(first)["body"], BACK_TO_THE_AI, reply_to(last)["body"]],
        [one["body"] for one in outcome.phone(SUNRISE, "jonas")],
    )
    yield Check("Jonas's conversation was given back, once", 1, len(outcome.told("given_back", SUNRISE, "jonas")))
    (long,) = outcome.batches_of(SUNRISE, "kira")
    yield Check(
        "a heartbeat kept Kira's turn alive beyond its deadline; no lock stalled, and the answer reached her",
        (1, [], [reply_to(long)["body"]]),
        (
            len(outcome.told("extended", SUNRISE, "kira")),
            outcome.steps["reset_stalled_lock"],
            [one["body"] for one in outcome.phone(SUNRISE, "kira")],
        ),
    )


def records(outcome: Outcome) -> Iterator[Check]:
    """What the conversations' records say: the entries after the company's own first one, and how they stand."""
    sid = outcome.sid
    burst = [sid("anna-text"), sid("anna-photo"), sid("anna-button")]
    expected = {
        "anna": (SUNRISE, [*burst, "OUTBOUND", sid("anna-later"), "OUTBOUND", "OUTBOUND"], "ai_response_sent"),
        "ben": (SUNRISE, [], "initial_message_sent"),
        "clara": (SUNRISE, [sid("clara"), "OUTBOUND"], "user_reply_received"),
        "david": (NORDIC, [sid("david"), "OUTBOUND"], "ai_response_sent"),
        "edith": (NORDIC, [sid("edith"), "OUTBOUND"], "ai_response_sent"),
        "frida": (NORDIC, [sid("frida"), sid("frida-stop"), sid("frida-after")], "processing_error"),
        "gina": (SUNRISE, [sid("gina-first"), sid("gina-second"), "OUTBOUND"], "ai_response_sent"),
        "hugo": (NORDIC, [], "initial_message_sent"),
        "ida": (SUNRISE, [sid("ida")], "ai_no_reply"),
        "jonas": (
            SUNRISE,
            [sid("jonas"), "OUTBOUND", sid("jonas-more"), "OUTBOUND", sid("jonas-later"), "OUTBOUND"],
            "ai_response_sent",
        ),
        "kira": (SUNRISE, [sid("kira"), "OUTBOUND"], "ai_response_sent"),
        "lars": (SUNRISE, [sid("lars")], "user_reply_received"),
        "mia": (SUNRISE, [sid("mia"), sid("mia-later"), "OUTBOUND"], "ai_response_sent"),
    }
    for customer, (company, entries, status) in expected.items():
        record = outcome.record(company, customer)
        found = [told_of(entry) for entry in record["messages"]][1:]
        yield Check(
            f"{customer.capitalize()}'s record: {len(entries)} new entries, {status}, unlocked, nothing unanswered",
            (entries, status, [], None),
            (found, record["conversation_status"], record.get("unanswered_ids", []), record.get("lock_shard")),
        )
    told = [
        (bool(entry.get("handed_off")), entry.get("source")) for entry in outcome.record(SUNRISE, "clara")["messages"]
    ]
    yield Check(
        "Clara's entry says that it was handed off, and the answer to it that a person gave it",
        [(False, None), (True, None), (False, "human")],
        told,
    )
    yield Check(
        "only the seeded conversations exist",
        sum(len(one.customers) for one in TENANTS),
        len(outcome.records),
    )


def leftovers(outcome: Outcome) -> Iterator[Check]:
    """What is left in tables and queues."""
    yield Check(
        "no row is left in any other table: nothing staged, no trigger lock",
        dict.fromkeys(outcome.other_rows, 0),
        outcome.other_rows,
    )
    yield Check("nothing failed", [], outcome.steps["failed"])
    handoff = f"replies-engine-{STAGE}-human-handoff"
    yield Check(
        "no message is left in any queue but the one for people, and no dead letter",
        {queue: len(outcome.handoffs) if queue == handoff else 0 for queue in outcome.waiting},
        outcome.waiting,
    )
