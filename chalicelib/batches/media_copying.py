"""Media copying: copies media from the provider to our bucket before their batch is dispatched.

With copies an AI worker needs no tenant's secret. Copying is off by default. A copy that fails leaves the provider's
URL and writes the reason into the medium's `problem`. It fails no batch, and delays one by a bounded time. If the
provider refuses the secret, the secret is read again, and the medium is fetched once more with a changed one.

Copies are made before the lock is taken, so the record names them, and so does a resumed batch. A process that dies
after a copy leaves objects that nothing names; the bucket's expiry removes them. Media for people are not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.fetcher import Fetched, Fetcher, NotFetched
from chalicelib.channels.refusals import ask
from chalicelib.clock import Clock, Deadline
from chalicelib.conversations import staged_contexts
from chalicelib.conversations.binding import is_own_secret
from chalicelib.conversations.conversation import Conversation
from chalicelib.errors import Code, EngineError, Misconfigured
from chalicelib.messages.attachment_rules import problem_of
from chalicelib.messages.attachments import folder_of
from chalicelib.ports.buckets import Bucket
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings
from chalicelib.telemetry import Level, Metric, Step, Trail

COPIED = "copied"
COPY_FAILED = "copy_failed"

Medium = Mapping[str, Any]
"""An element of a message's `media`."""


@dataclass(frozen=True, repr=False)
class Wanted:
    """One medium that is to be copied."""

    medium: Medium
    number: int
    """Its place in its message, from 1."""
    key: str
    """Where its copy goes."""
    credential_ref: str | None
    fetcher: Fetcher
    until: Deadline
    trail: Trail


@dataclass(frozen=True, kw_only=True)
class MediaCopying:
    """Copies the media of messages whose channels' providers keep them."""

    fetchers: Mapping[str, Fetcher]
    bucket: Bucket
    credentials: CredentialCache
    clock: Clock
    new_id: Callable[[], str]
    settings: Settings

    def begin(self, deadline: Deadline, sharing: int, trail: Trail) -> Copies:
        """The copies of one batch.

        Args:
            deadline: when its invocation ends.
            sharing: how many batches are left in the invocation, this one included: each has as much of what is left.
            trail: where they are logged.
        """
        latest = replace(deadline, at=deadline.at - self.settings.keeping_seconds)  # begun then, ended by the deadline
        seconds = min(self.settings.media_copying_seconds, latest.seconds_left / sharing)
        return Copies(self, Deadline.after(self.clock, seconds), trail)

    def copied(
        self, message: StagedMessage, conversation: Conversation, until: Deadline, trail: Trail
    ) -> StagedMessage:
        """The message with its media in our bucket, as far as they can be had."""
        media, fetcher = staged_contexts.media_of(message.context), self.fetchers.get(message.channel)
        if fetcher is None or not media:
            return message
        own = trail.with_fields(message_sid=message.message_sid, channel=message.channel)
        folder, ref = folder_of(conversation.tenant, self.new_id()), conversation.credential_ref(message.channel)
        if ref is not None and not is_own_secret(self.settings.credential_ref_pattern, ref, conversation.tenant):
            ref = None
        told = []
        for number, medium in enumerate(media, start=1):
            outcome = self._copy(Wanted(medium, number, f"{folder}/{number}", ref, fetcher, until, own))
            own.count(Metric.MEDIA_COPIED, outcome=outcome.get("problem", COPIED))
            told.append(outcome)
        return replace(message, context=staged_contexts.with_media(message.context, told))

    def _copy(self, wanted: Wanted) -> Medium:
        """The medium as it is told from here on: in our bucket, or where it was and why."""
        try:
            outcome = self._fetch(wanted)
            if isinstance(outcome, Fetched):
                return self._keep(wanted, outcome)
        except EngineError as fault:
            wanted.trail.fault(Step.MEDIA_NOT_COPIED, fault, Level.WARNING)
            return {**wanted.medium, "problem": COPY_FAILED}
        problem = outcome.problem or COPY_FAILED
        wanted.trail.log(Step.MEDIA_NOT_COPIED, Level.WARNING, outcome=problem, reason=outcome.reason)
        return {**wanted.medium, "problem": problem}

    def _fetch(self, wanted: Wanted) -> Fetched | NotFetched:
        told = wanted.medium["content_type"]

        def refuse(size_bytes: int, content_type: str) -> str | None:
            filename = wanted.medium.get("filename")
            return problem_of(wanted.number, size_bytes, content_type or told, self.settings, filename=filename)

        problem = refuse(0, told)
        if problem is not None:
            return NotFetched("refused", problem)
        if wanted.credential_ref is None:
            raise Misconfigured(
                Code.MISSING_CREDENTIAL_CONFIG, "the conversation names no secret of its own for the channel"
            )
        if wanted.until.has_passed:
            return NotFetched("no time left")
        url, ref = wanted.medium["url"], wanted.credential_ref

        def fetch(secret: str) -> Fetched | NotFetched:
            return wanted.fetcher.fetch(url, secret, refuse=refuse, deadline=wanted.until)

        secret = self.credentials.get(ref, wanted.until)
        outcome = ask(self.credentials, ref, secret, fetch)
        if isinstance(outcome, NotFetched) and outcome.is_ours_to_mend and not wanted.until.has_passed:
            renewed = self.credentials.get(ref, wanted.until)
            return outcome if renewed == secret else ask(self.credentials, ref, renewed, fetch)
        return outcome

    def _keep(self, wanted: Wanted, fetched: Fetched) -> Medium:
        content_type = fetched.content_type or wanted.medium["content_type"]
        url = self.bucket.within(wanted.until).put(wanted.key, fetched.content, content_type=content_type)
        wanted.trail.log(Step.MEDIA_COPIED, Level.DEBUG)
        return {**wanted.medium, "url": url, "content_type": content_type, "size_bytes": len(fetched.content)}


@dataclass(frozen=True, eq=False)
class Copies:
    """The copies of one batch: each message is copied once, however often its record is looked at."""

    media_copying: MediaCopying
    until: Deadline
    trail: Trail
    _made: dict[str, StagedMessage] = field(default_factory=dict, init=False)

    def of(self, messages: Sequence[StagedMessage], conversation: Conversation) -> list[StagedMessage]:
        """The messages with their media copied."""
        for message in messages:
            if message.message_sid not in self._made:
                made = self.media_copying.copied(message, conversation, self.until, self.trail)
                self._made[message.message_sid] = made
        return [self._made[message.message_sid] for message in messages]
