"""Every setting of a deployment in one frozen object, validated together.

Guarantee: a `Settings` that exists is complete, each value lies within its bounds, and the relations between them that
the protocol leans on hold. A missing or malformed one stops the function with one error that lists them all.

This is the only file that reads the environment. `queue_name` and `workers_max` alone are called at import, because
Chalice's decorators need the queues then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal

from chalicelib.errors import Code, Misconfigured

SWEEP_STALLED_MINUTES = 5
"""How often stalled locks are looked for; the schedule in app.py."""

SWEEP_ORPHANS_MINUTES = 1
"""How often orphaned staged rows are looked for; the schedule in app.py."""

SWEEP_THREADS = 16
"""How many repairs a sweep makes at once."""

WEBHOOK_TIMEOUT_SECONDS = 15
"""The webhook's Lambda timeout, as in `.chalice/config.json`."""

_REQUEUE_DELAY_MAX = 300
_CAP_MAX = 900
"""The longest window and cap, of the deployment or of a company's policy: SQS delays a message no longer."""
_KEEPING_BESIDES_SECONDS = 3
"""Two connections, botocore's pause before a second try, and its wait for S3 to ask for the content."""
_WORK_BESIDES_SECONDS = 6
"""What a worker needs beside its one long wait: five seconds to have its triggers come again, and its calls to AWS."""


class SettingsError(Misconfigured):
    """One or more settings are missing or malformed; the detail names every one."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(Code.CONFIGURATION_ERROR, f"{len(faults)} fault(s) in the settings: " + "; ".join(faults))
        self.faults = faults


Parse = Callable[[str], Any]
"""Reads a setting's text; a `ValueError` says what is wrong with it."""


@dataclass(frozen=True)
class Within:
    """Reads a number from `low` to `high`."""

    kind: type[int | float]
    low: float
    high: float

    def __call__(self, text: str) -> float:
        try:
            number = self.kind(text)
        except ValueError:
            raise ValueError(f"must be {self}") from None
        if not self.low <= number <= self.high:
            raise ValueError(f"must be {self}")
        return number

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """Reads one of some words; each stands for a value."""

    meanings: Mapping[str, Any]

    def __call__(self, text: str) -> Any:
        if text not in self.meanings:
            raise ValueError(f"must be {self}")
        return self.meanings[text]

    def __str__(self) -> str:
        return f"one of {', '.join(self.meanings)}"


@dataclass(frozen=True)
class Assignments:
    """Reads `name=word` pairs, separated by commas; a name that is left out has the word of `defaults`."""

    defaults: Mapping[str, str]
    words: OneOf

    def __call__(self, text: str) -> Mapping[str, str]:
        told = dict(self.defaults)
        for pair in _names(text):
            name, _, word = (part.strip() for part in pair.partition("="))
            if name not in told:
                raise ValueError(f"must assign to {', '.join(self.defaults)}")
            try:
                told[name] = self.words(word)
            except ValueError as fault:
                raise ValueError(f"{name} {fault}") from None
        return told


def _within(kind: type[int | float], low: float, high: float) -> Parse:
    return Within(kind, low, high)


def _one_of(**meanings: Any) -> Parse:
    return OneOf(meanings)


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _addresses(text: str) -> tuple[str, ...]:
    return _names(text.lower())


def _company_pattern(text: str) -> str:
    if text and text.count("{company}") != 1:
        raise ValueError("must name {company} once, or be empty")
    return text


def _keywords(text: str) -> tuple[str, ...]:
    return _names(text.upper())


def _url(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("must be empty or start with https://")
    return text.rstrip("/")


_flag = _one_of(true=True, false=False)


def _setting(note: str, parse: Parse = str, default: str | None = None) -> Any:
    """One setting: what it means, how its text is read, and its default as text (None: required)."""
    is_hashable = not isinstance(parse, Assignments)
    return field(metadata={"note": note, "parse": parse, "default": default}, hash=None if is_hashable else False)


def _workers(of: str) -> Any:
    """A setting for the maximum concurrency of one event source; its bounds are Lambda's."""
    return _setting(f"most function instances at once for {of}", _within(int, 2, 1_000), "20")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one deployment; each field's environment variable is its name in capitals."""

    stage: str = _setting("the deployment stage: local, dev, prod, or a name of your own")
    log_level: str = _setting(
        "the lowest level that is logged; DEBUG in dev, INFO in prod",
        _one_of(DEBUG="DEBUG", INFO="INFO", WARNING="WARNING", ERROR="ERROR"),
        "INFO",
    )
    public_base_url: str = _setting(
        "the base of the webhook URLs as the provider calls them, up to `/webhooks`; empty: taken from the request",
        _url,
        "",
    )

    conversations_table: str = _setting("the company's conversations")
    stage_table: str = _setting("messages received and not yet dispatched, handed off or refused")
    trigger_lock_table: str = _setting("conversations that have a trigger in a queue")
    history_table: str = _setting("entries moved out of the conversation's record")
    sends_table: str = _setting("one row per outbound message part")
    unknown_senders_table: str = _setting("which unknown senders were notified, and when")

    attachments_bucket: str = _setting(
        "the bucket for attachments and long texts; `{account}` in it stands for the AWS account number", _name
    )

    whatsapp_queue: str = _setting("triggers of the channel whatsapp")
    sms_queue: str = _setting("triggers of the channel sms")
    email_queue: str = _setting("triggers of the channel email")
    human_handoff_queue: str = _setting("contexts for the company's people")
    ai_queue: str = _setting("contexts for the company's AI worker")
    ai_replies_queue: str = _setting("replies of the company's AI worker")
    human_replies_queue: str = _setting("replies of the company's people")
    dead_letter_suffix: str = _setting(
        "the suffix that makes a queue's name the name of its dead-letter queue", _name, "-dlq"
    )

    whatsapp_index: str = _setting(
        "index that finds a WhatsApp conversation", _name, "company-whatsapp-number-recipient-tel-index"
    )
    whatsapp_index_company_key: str = _setting("its hash key", _name, "gsi_company_whatsapp_number")
    whatsapp_index_customer_key: str = _setting("its range key", _name, "gsi_recipient_tel")
    sms_index: str = _setting("index that finds an SMS conversation", _name, "company-sms-number-recipient-tel-index")
    sms_index_company_key: str = _setting("its hash key", _name, "gsi_company_sms_number")
    sms_index_customer_key: str = _setting("its range key", _name, "gsi_recipient_tel")
    email_index: str = _setting("index that finds an e-mail conversation", _name, "company-email-recipient-email-index")
    email_index_company_key: str = _setting("its hash key", _name, "gsi_company_email")
    email_index_customer_key: str = _setting("its range key", _name, "gsi_recipient_email")
    lock_index: str = _setting("sparse index over locked conversations", _name, "conversation-lock-index")
    lock_index_shards: int = _setting(
        "number of hash keys over which the lock index is spread; raise it, never lower it", _within(int, 1, 256), "16"
    )

    context_attributes: tuple[str, ...] = _setting(
        "the company's own attributes that contexts carry, separated by commas", _names, ""
    )
    handoff_flag_routes: bool = _setting(
        "whether the attribute `hand_off_to_human` routes a conversation to people", _flag, "false"
    )
    on_new_message: Literal["queue", "restart", "reject"] = _setting(
        "a message that arrives while the AI works: `queue` stages it for the next batch; `restart` gives the AI one "
        "larger batch in place of the one that it has; `reject` rejects it",
        _one_of(queue="queue", restart="restart", reject="reject"),
        "queue",
    )
    restarts_max: int = _setting(
        "how often messages that are unanswered are given to the AI anew by `restart`; after that, as `queue`",
        _within(int, 0, 10),
        "2",
    )
    locked_notice: str = _setting(
        "text that the customer receives when a message arrives while the AI works; empty: none",
        str,
        "Thank you! We are still answering your last message and will read this one next.",
    )

    unknown_sender_text: str = _setting(
        "text that a sender without a conversation receives, unless the company has its own; empty: none",
        str,
        "Thank you for your message. It cannot be assigned to a conversation and is not read. "
        "Please contact us in another way.",
    )
    unknown_sender_hours: int = _setting(
        "hours before the same unknown sender receives that text again", _within(int, 1, 8_760), "24"
    )
    unknown_sender_messages_per_hour: int = _setting(
        "messages to unknown senders that one address of a company sends within a clock hour; 0: none",
        _within(int, 0, 10_000),
        "100",
    )
    unauthenticated_email: Mapping[str, str] = _setting(
        "what happens to an e-mail whose sender is not authenticated. `failed`: SPF and DKIM do not "
        "confirm the sender; `none`: SendGrid sent no result. `handoff`: people get it; `keep`: it is "
        "routed like any other; `refuse`: it is refused. Pairs `name=word`, separated by commas",
        Assignments({"failed": "handoff", "none": "keep"}, OneOf({one: one for one in ("handoff", "keep", "refuse")})),
        "failed=handoff,none=keep",
    )
    list_addresses: tuple[str, ...] = _setting(
        "the company's addresses that are mailing lists, such as a Google Group, separated by commas: an "
        "e-mail that one of them forwards counts as its author's",
        _addresses,
        "",
    )
    automatic_answers_per_hour: int = _setting(
        "AI answers that a conversation may have within an hour; beyond that, people get its next e-mail",
        _within(int, 0, 1_000),
        "20",
    )
    email_text_bytes_max: int = _setting(
        "bytes of an e-mail's new text that its context carries; the bucket has the whole text",
        _within(int, 256, 8_192),
        "8192",
    )
    attachments_max: int = _setting("attachments that are kept per message", _within(int, 0, 10), "10")
    attachment_bytes_max: int = _setting(
        "largest attachment that is kept, in bytes", _within(int, 0, 16_777_216), "16777216"
    )
    attachment_types: tuple[str, ...] = _setting(
        "content types that are kept, separated by commas; `*` never matches a type that browsers run "
        "(SVG, HTML, XML): name such a type in full",
        _names,
        "image/*,audio/*,video/*,text/plain,text/csv,text/calendar,text/vcard,application/pdf,application/rtf,"
        "application/msword,application/vnd.openxmlformats-officedocument.*,application/vnd.oasis.opendocument.*,"
        "application/vnd.ms-excel,application/vnd.ms-powerpoint,application/vnd.ms-outlook,application/vnd.apple.*,"
        "application/zip,application/x-zip-compressed,application/ics,message/rfc822,application/pkcs7-mime,"
        "application/x-pkcs7-mime",
    )
    ai_worker: str = _setting(
        "the AI worker that runs as a function of this stage; `off`: the company's own worker reads the AI queue",
        _one_of(off="", echo="echo", bedrock="bedrock"),
        "off",
    )
    ai_worker_model: str = _setting("for `AI_WORKER` bedrock: the id of the model or of its inference profile", str, "")
    ai_worker_instructions: str = _setting(
        "for `AI_WORKER` bedrock: the model's instructions, with `{company}` and `{channel}`; empty: those of the kit",
        str,
        "",
    )
    media_copying: bool = _setting(
        "whether media at the provider are copied to the bucket before dispatch", _flag, "false"
    )
    media_copying_seconds: int = _setting(
        "longest time that a batch waits for its media; less if its event holds many others", _within(int, 1, 20), "8"
    )

    batch_window_seconds: int = _setting(
        "quiet period after which a burst becomes a batch", _within(int, 0, _CAP_MAX), "10"
    )
    batch_max_wait_seconds: int = _setting(
        "longest wait after the first message of a burst; equal to the window: a fixed window",
        _within(int, 0, _CAP_MAX),
        "30",
    )
    window_mode: Literal["fixed", "adaptive"] = _setting(
        "`fixed`: the window is BATCH_WINDOW_SECONDS; `adaptive`: it follows this customer's usual pauses, up to that",
        _one_of(fixed="fixed", adaptive="adaptive"),
        "fixed",
    )
    adaptive_window_min_seconds: int = _setting("the shortest adaptive window", _within(int, 0, _CAP_MAX), "3")
    batch_messages_max: int = _setting("messages that one batch takes from the stage", _within(int, 1, 99), "99")
    whatsapp_workers_max: int = _workers("batches of WhatsApp conversations")
    sms_workers_max: int = _workers("batches of SMS conversations")
    email_workers_max: int = _workers("batches of e-mail conversations")
    ai_replies_workers_max: int = _workers("replies of the company's AI")
    human_replies_workers_max: int = _workers("replies of the company's people")
    ai_workers_max: int = _workers("batches that the AI worker answers, on a stage that has it")
    api_requests_per_second: int = _setting(
        "requests to the API per second; beyond it the API answers 429", _within(int, 1, 100_000), "500"
    )
    api_burst: int = _setting(
        "requests to the API at once; beyond it the API answers 429", _within(int, 1, 100_000), "1000"
    )

    requeue_delay_seconds: int = _setting(
        "delay before a failed trigger is retried; it doubles with each retry, up to 300",
        _within(int, 1, _REQUEUE_DELAY_MAX),
        "15",
    )
    requeue_attempts_max: int = _setting("retries of a trigger before it is dead-lettered", _within(int, 1, 50), "6")
    stall_timeout_seconds: int = _setting(
        "age at which a lock counts as stalled; doubled by each lock that stalled in a row, up to TURN_MAX_SECONDS",
        _within(int, 2, 86_400),
        "300",
    )
    turn_max_seconds: int = _setting(
        "how long after its acquisition a batch accepts `extend` and interim messages",
        _within(int, 1, 43_200),
        "1800",
    )
    stall_action: Literal["warn", "handoff"] = _setting(
        "a stalled batch: `warn` carries it into the next one and logs a warning; `handoff` gives it to people",
        _one_of(warn="warn", handoff="handoff"),
        "warn",
    )
    undelivered_action: Literal["none", "resend", "handoff"] = _setting(
        "a reply that was accepted and not delivered: `none` only reports it; `resend` sends it once more "
        "if its error code is safe; `handoff` gives its batch to people",
        _one_of(none="none", resend="resend", handoff="handoff"),
        "none",
    )
    status_callbacks: bool = _setting(
        "whether the provider is asked to report on each message; `false` only if `UNDELIVERED_ACTION` is `none`",
        _flag,
        "true",
    )
    reply_attempts_max: int = _setting("retries of a reply before it is dead-lettered", _within(int, 1, 50), "10")
    reconcile_after_seconds: int = _setting(
        "age at which a reply of unknown outcome is looked up at the provider", _within(int, 2, 900), "60"
    )
    provider_connect_timeout_seconds: float = _setting(
        "to connect, for each request to a provider", _within(float, 0.1, 10), "3"
    )
    provider_read_timeout_seconds: float = _setting(
        "to read, for each request to a provider", _within(float, 0.1, 20), "10"
    )
    twilio_api_base_url: str = _setting(
        "base URL of Twilio's API; empty: Twilio's own, in the region of the company's secret", _url, ""
    )
    sendgrid_api_base_url: str = _setting(
        "base URL of SendGrid's API; `https://api.eu.sendgrid.com` for accounts in the EU",
        _url,
        "https://api.sendgrid.com",
    )
    whatsapp_free_text_hours: int = _setting(
        "hours after the customer's last message in which WhatsApp accepts free text", _within(int, 1, 720), "24"
    )
    typing_indicator: bool = _setting(
        "whether the customer sees a typing indicator while the AI works, on channels that have one",
        _flag,
        "false",
    )
    opt_out_keywords: Literal["none", "default"] = _setting(
        "whether Twilio's default keywords count without `OptOutType`: `default` if the services have no "
        "Advanced Opt-Out; a company's policy overrides it",
        _one_of(none="none", default="default"),
        "none",
    )
    sms_stop_keywords: tuple[str, ...] = _setting(
        "messages with which a customer opts out of SMS from a long code at Twilio",
        _keywords,
        "STOP,STOPALL,UNSUBSCRIBE,CANCEL,END,QUIT,REVOKE,OPTOUT",
    )
    sms_start_keywords: tuple[str, ...] = _setting(
        "messages with which a customer opts in again at Twilio", _keywords, "START,YES,UNSTOP"
    )
    sms_help_keywords: tuple[str, ...] = _setting(
        "messages that Twilio answers with its help text", _keywords, "HELP,INFO"
    )
    sends_ttl_hours: int = _setting(
        "how long the row of a sent part accepts status callbacks", _within(int, 1, 8_760), "720"
    )
    stage_ttl_hours: int = _setting("time to live of a staged row; the sweep extends it", _within(int, 1, 8_760), "72")
    orphan_grace_seconds: int = _setting(
        "how long after BATCH_MAX_WAIT_SECONDS a staged row without a trigger counts as orphaned; "
        "the wait between two repairs doubles from this to sixteen times as long",
        _within(int, 1, 3_600),
        "60",
    )
    orphan_loud_after: int = _setting(
        "after this many recoveries of one row, each further one is logged as an error", _within(int, 1, 1_000), "3"
    )

    credential_ref_pattern: str = _setting(
        "where a secret's name contains its company, such as `ai-multi-comms/*-credentials/{company}/*/*`:"
        " a row that names another company's secret is refused; empty: no check",
        _company_pattern,
        "",
    )
    secret_ttl_seconds: int = _setting("how long a secret stays in memory", _within(int, 0, 86_400), "300")
    secret_refresh_seconds: int = _setting(
        "shortest time between two refreshes of a secret after a failed signature", _within(int, 1, 3_600), "60"
    )

    aws_connect_timeout_seconds: float = _setting("to connect, for each try", _within(float, 0.05, 10), "0.5")
    aws_read_timeout_seconds: float = _setting("to read, for each try", _within(float, 0.05, 20), "1")
    bucket_read_timeout_seconds: float = _setting(
        "time to upload an object's content, and again to wait for S3's answer", _within(float, 0.1, 20), "4"
    )
    aws_tries: int = _setting("tries of one call, including the first", _within(int, 1, 5), "2")
    webhook_deadline_seconds: float = _setting(
        "a webhook starts no call to AWS after this time; Twilio waits 15 s with all retries",
        _within(float, 0.1, 12),
        "2.5",
    )
    worker_timeout_seconds: int = _setting(
        "the workers' Lambda timeout, as in `.chalice/config.json`", _within(int, 1, 900), "30"
    )
    visibility_timeout_seconds: int = _setting(
        "the trigger queues' visibility timeout, as in the template", _within(int, 2, 43_200), "180"
    )

    messages_keep: int = _setting(
        "entries that a record keeps: the history that the AI gets; 0: history is never moved out of the record",
        _within(int, 0, 1_000),
        "50",
    )
    messages_bytes_max: int = _setting("bytes of entries that a record keeps", _within(int, 4_096, 262_144), "32768")
    dedupe_hours: int = _setting(
        "entries younger than this stay in the record if MESSAGES_BYTES_MAX allows", _within(int, 0, 8_760), "72"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings that `environment` (None: this process's) tells.

        Raises:
            SettingsError: naming every missing or malformed variable and every broken relation.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        faults: list[str] = []
        for one in fields(cls):
            try:
                values[one.name] = _value(one, environment)
            except ValueError as fault:
                faults.append(f"{one.name.upper()} {fault}")
        if faults:
            raise SettingsError(faults)
        settings = cls(**values)
        if faults := _broken_relations(settings):
            raise SettingsError(faults)
        return settings

    @property
    def requeue_horizon_seconds(self) -> int:
        """How long a trigger that keeps failing keeps coming, in seconds."""
        return sum(self.requeue_delay(attempt) for attempt in range(1, self.requeue_attempts_max + 1))

    @property
    def keeping_seconds(self) -> float:
        """How long keeping one object in the bucket takes at most, in seconds, connecting and a second try included."""
        return 2 * self.bucket_read_timeout_seconds + _KEEPING_BESIDES_SECONDS

    def requeue_delay(self, attempt: int) -> int:
        """The delay before a trigger's return number `attempt` (the first is 1), in seconds."""
        return min(self.requeue_delay_seconds << (attempt - 1), _REQUEUE_DELAY_MAX)


def queue_name(variable: str) -> str:
    """The name of a queue for a decorator: what the environment says, or the local stage's name for it.

    Args:
        variable: the setting's variable, such as `WHATSAPP_QUEUE`.
    """
    role = variable.removesuffix("_QUEUE").lower().replace("_", "-")
    return os.environ.get(variable, f"replies-engine-local-{role}")


def workers_setting(variable: str) -> str:
    """The setting for the maximum concurrency of the function that reads a queue, by the queue's own setting."""
    return f"{variable.removesuffix('_QUEUE')}_WORKERS_MAX"


def workers_max(variable: str) -> int:
    """The maximum concurrency of the function that reads a queue, for a decorator.

    Args:
        variable: the queue's own setting, such as `WHATSAPP_QUEUE`.

    Raises:
        SettingsError: it is malformed.
    """
    one = Settings.__dataclass_fields__[workers_setting(variable).lower()]
    try:
        return int(_value(one, os.environ))
    except ValueError as fault:
        raise SettingsError([f"{one.name.upper()} {fault}"]) from None


def ai_worker_is_on() -> bool:
    """Whether app.py registers the AI worker as a function, as the environment says at import."""
    return os.environ.get("AI_WORKER", "off") != "off"


def lambda_handler() -> str | None:
    """Which function of the app this process serves, as Lambda names its handler; None elsewhere."""
    return os.environ.get("_HANDLER") if is_on_lambda() else None


def _value(one: Field[Any], environment: Mapping[str, str]) -> Any:
    default = one.metadata["default"]
    text = environment.get(one.name.upper(), default)
    if text is None or (text == "" and default is None):
        raise ValueError("is missing")
    return one.metadata["parse"](text)


def _broken_relations(settings: Settings) -> list[str]:
    """The relations between settings that the protocol's timing premise needs, as far as they do not hold."""
    horizon = settings.requeue_horizon_seconds
    late_repair = settings.stall_timeout_seconds + SWEEP_STALLED_MINUTES * 60
    relations = {
        "BATCH_WINDOW_SECONDS must not exceed BATCH_MAX_WAIT_SECONDS": (
            settings.batch_window_seconds <= settings.batch_max_wait_seconds
        ),
        "WORKER_TIMEOUT_SECONDS must be less than VISIBILITY_TIMEOUT_SECONDS": (
            settings.worker_timeout_seconds < settings.visibility_timeout_seconds
        ),
        "VISIBILITY_TIMEOUT_SECONDS must be less than STALL_TIMEOUT_SECONDS": (
            settings.visibility_timeout_seconds < settings.stall_timeout_seconds
        ),
        f"REQUEUE_DELAY_SECONDS and REQUEUE_ATTEMPTS_MAX keep a trigger coming for {horizon} s, "
        f"which must exceed STALL_TIMEOUT_SECONDS and a sweep, {late_repair} s": horizon > late_repair,
        "RECONCILE_AFTER_SECONDS must exceed WORKER_TIMEOUT_SECONDS and be less than STALL_TIMEOUT_SECONDS": (
            settings.worker_timeout_seconds < settings.reconcile_after_seconds < settings.stall_timeout_seconds
        ),
        "PROVIDER_CONNECT_TIMEOUT_SECONDS and PROVIDER_READ_TIMEOUT_SECONDS must leave WORKER_TIMEOUT_SECONDS 6 s": (
            settings.provider_connect_timeout_seconds + settings.provider_read_timeout_seconds + _WORK_BESIDES_SECONDS
            <= settings.worker_timeout_seconds
        ),
        f"WEBHOOK_DEADLINE_SECONDS and twice BUCKET_READ_TIMEOUT_SECONDS must leave {_KEEPING_BESIDES_SECONDS} s "
        f"of the webhook's {WEBHOOK_TIMEOUT_SECONDS} s": (
            settings.webhook_deadline_seconds + settings.keeping_seconds <= WEBHOOK_TIMEOUT_SECONDS
        ),
        "with MEDIA_COPYING, MEDIA_COPYING_SECONDS and twice BUCKET_READ_TIMEOUT_SECONDS must leave "
        "WORKER_TIMEOUT_SECONDS 9 s": (
            not settings.media_copying
            or settings.media_copying_seconds + settings.keeping_seconds + _WORK_BESIDES_SECONDS
            <= settings.worker_timeout_seconds
        ),
        "AI_WORKER bedrock needs AI_WORKER_MODEL": settings.ai_worker != "bedrock" or bool(settings.ai_worker_model),
        "STATUS_CALLBACKS may be false only while UNDELIVERED_ACTION is none": (
            settings.status_callbacks or settings.undelivered_action == "none"
        ),
        f"STAGE_TTL_HOURS must outlast the retries of a trigger and the longest BATCH_MAX_WAIT_SECONDS, {_CAP_MAX} s": (
            settings.stage_ttl_hours * 3_600 > horizon + _CAP_MAX
        ),
    }
    return [relation for relation, holds in relations.items() if not holds]


def is_on_lambda() -> bool:
    """Whether this process is a function's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def names_aws_endpoint() -> bool:
    """Whether the environment names an endpoint for any of AWS's services, which then need not be AWS's own."""
    return any(name.startswith("AWS_ENDPOINT_URL") for name in os.environ)
