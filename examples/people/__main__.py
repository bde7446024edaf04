"""People's side on a command line: `python -m examples.people --help`.

Reads HUMAN_HANDOFF_QUEUE, HUMAN_REPLIES_QUEUE and the usual AWS_* variables.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3

from chalicelib.ports.queues import fair_group
from examples.people.inbox import Inbox, NotPossibleError, Waiting

RECEIVE_MAX = 100
"""Polls of one command: the rest of a long queue comes with the next."""


def receive(sqs: Any, queue_url: str, inbox: Inbox) -> None:
    """Move what the handoff queue holds into the inbox. A message leaves the queue once it is in the file."""
    for _ in range(RECEIVE_MAX):
        received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in received.get("Messages", []):
            try:
                inbox.take(message["Body"])
            except (
                ValueError,
                KeyError,
                TypeError,
            ) as fault:  # no context: it comes again, then goes to the dead letters
                print(f"a message is left in the queue: {type(fault).__name__}", file=sys.stderr)
                continue
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        if not received.get("Messages"):
            return


def shown(waiting: Waiting) -> str:
    """A conversation on one screen."""
    about = waiting.about
    claimed = f"claimed by {waiting.claimed_by}" if waiting.claimed_by else "free"
    lines = [
        f"{waiting.conversation_id}  {waiting.tenant}  since {waiting.waiting_since}  {claimed}",
        f"  asked by: {about.get('requested_by', 'company')}  reason: {about.get('reason') or '-'}",
    ]
    for one in waiting.messages:
        files = "".join(f" [{medium.get('content_type')}]" for medium in one.get("media") or ())
        lines.append(f"  {one['timestamp']}  {one['from']}: {one['body']}{files}")
    if about.get("draft"):
        lines.append(f"  the AI's draft: {about['draft']}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1: it was not possible."""
    options = argparse.ArgumentParser(prog="python -m examples.people")
    options.add_argument("--inbox", type=Path, default=Path("people.sqlite"), help="the file of the inbox")
    commands = options.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="who waits, the longest first")
    for name, about in {
        "claim": "take a conversation, so that nobody else answers it",
        "answer": "send an answer to the customer",
        "give-back": "give the conversation back to the AI, with last words or without",
        "close": "close it without giving it back",
    }.items():
        command = commands.add_parser(name, help=about)
        command.add_argument("conversation")
        command.add_argument("--as", dest="person", required=True, help="who you are")
        if name in {"answer", "give-back"}:
            command.add_argument("text", nargs=None if name == "answer" else "?", default="")
    chosen = options.parse_args(arguments)
    sqs, inbox = boto3.client("sqs"), Inbox(chosen.inbox)
    names = ("HUMAN_HANDOFF_QUEUE", "HUMAN_REPLIES_QUEUE")
    handoffs, replies = (sqs.get_queue_url(QueueName=os.environ[name])["QueueUrl"] for name in names)

    def send(body: str, tenant: str) -> None:
        sqs.send_message(QueueUrl=replies, MessageBody=body, MessageGroupId=fair_group(tenant))

    receive(sqs, handoffs, inbox)
    try:
        if chosen.command == "list":
            print("\n\n".join(map(shown, inbox.waiting())) or "nobody waits")
        elif chosen.command == "claim":
            print(shown(inbox.claim(chosen.conversation, chosen.person)))
        elif chosen.command == "answer":
            inbox.answer(chosen.conversation, chosen.person, chosen.text)
        elif chosen.command == "give-back":
            inbox.give_back(chosen.conversation, chosen.person, chosen.text)
        else:
            inbox.close(chosen.conversation, chosen.person)
    except NotPossibleError as reason:
        print(reason, file=sys.stderr)
        return 1
    finally:
        inbox.flush(send)
    return 0


if __name__ == "__main__":
    sys.exit(main())
