"""The settings of a turn: its window, its workers, its retries, its stall, its reply, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.settings.parsing import FLAG, Within, keywords, setting, url, words

_REQUEUE_DELAY_MAX = 300
CAP_MAX = 900
"""The longest window and cap, of the deployment or of a company's policy: SQS delays a message no longer."""


def _workers(of: str) -> Any:
    """A setting for the maximum concurrency of one event source; its bounds are Lambda's."""
    return setting(f"most function instances at once for {of}", Within(int, 2, 1_000), "20")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Turns:
    """When a burst becomes a batch, how often its trigger and its reply come again, and when its lock stalls."""

    batch_window_seconds: int = setting(
        "quiet period after which a burst becomes a batch", Within(int, 0, CAP_MAX), "10"
    )
    batch_max_wait_seconds: int = setting(
        "longest wait after the first message of a burst; equal to the window: a fixed window",
        Within(int, 0, CAP_MAX),
        "30",
    )
    window_mode: Literal["fixed", "adaptive"] = setting(
        "`fixed`: the window is BATCH_WINDOW_SECONDS; `adaptive`: it follows this customer's usual pauses, up to that",
        words("fixed", "adaptive"),
        "fixed",
    )
    adaptive_window_min_seconds: int = setting("the shortest adaptive window", Within(int, 0, CAP_MAX), "3")
    batch_messages_max: int = setting("messages that one batch takes from the stage", Within(int, 1, 99), "99")
    whatsapp_workers_max: int = _workers("batches of WhatsApp conversations")
    sms_workers_max: int = _workers("batches of SMS conversations")
    email_workers_max: int = _workers("batches of e-mail conversations")
    ai_replies_workers_max: int = _workers("replies of the company's AI")
    human_replies_workers_max: int = _workers("replies of the company's people")
    ai_workers_max: int = _workers("batches that the AI worker answers, on a stage that has it")
    api_requests_per_second: int = setting(
        "requests to the API per second; beyond it the API answers 429", Within(int, 1, 100_000), "500"
    )
    api_burst: int = setting(
        "requests to the API at once; beyond it the API answers 429", Within(int, 1, 100_000), "1000"
    )

    requeue_delay_seconds: int = setting(
        "delay before a failed trigger is retried; it doubles with each retry, up to 300",
        Within(int, 1, _REQUEUE_DELAY_MAX),
        "15",
    )
    requeue_attempts_max: int = setting("retries of a trigger before it is dead-lettered", Within(int, 1, 50), "6")
    stall_timeout_seconds: int = setting(
        "age at which a lock counts as stalled; doubled by each lock that stalled in a row, up to TURN_MAX_SECONDS",
        Within(int, 2, 86_400),
        "300",
    )
    turn_max_seconds: int = setting(
        "how long after its acquisition a batch accepts `extend` and interim messages",
        Within(int, 1, 43_200),
        "1800",
    )
    stall_action: Literal["warn", "handoff"] = setting(
        "a stalled batch: `warn` carries it into the next one and logs a warning; `handoff` gives it to people",
        words("warn", "handoff"),
        "warn",
    )
    undelivered_action: Literal["none", "resend", "handoff"] = setting(
        "a reply that was accepted and not delivered: `none` only reports it; `resend` sends it once more "
        "if its error code is safe; `handoff` gives its batch to people",
        words("none", "resend", "handoff"),
        "none",
    )
    status_callbacks: bool = setting(
        "whether the provider is asked to report on each message; `false` only if `UNDELIVERED_ACTION` is `none`",
        FLAG,
        "true",
    )
    reply_attempts_max: int = setting("retries of a reply before it is dead-lettered", Within(int, 1, 50), "10")
    reconcile_after_seconds: int = setting(
        "age at which a reply of unknown outcome is looked up at the provider", Within(int, 2, 900), "60"
    )
    provider_connect_timeout_seconds: float = setting(
        "to connect, for each request to a provider", Within(float, 0.1, 10), "3"
    )
    provider_read_timeout_seconds: float = setting(
        "to read, for each request to a provider", Within(float, 0.1, 20), "10"
    )
    twilio_api_base_url: str = setting(
        "base URL of Twilio's API; empty: Twilio's own, in the region of the company's secret", url, ""
    )
    sendgrid_api_base_url: str = setting(
        "base URL of SendGrid's API; `https://api.eu.sendgrid.com` for accounts in the EU",
        url,
        "https://api.sendgrid.com",
    )
    whatsapp_free_text_hours: int = setting(
        "hours after the customer's last message in which WhatsApp accepts free text", Within(int, 1, 720), "24"
    )
    typing_indicator: bool = setting(
        "whether the customer sees a typing indicator while the AI works, on channels that have one",
        FLAG,
        "false",
    )
    opt_out_keywords: Literal["none", "default"] = setting(
        "whether Twilio's default keywords count without `OptOutType`: `default` if the services have no "
        "Advanced Opt-Out; a company's policy overrides it",
        words("none", "default"),
        "none",
    )
    sms_stop_keywords: tuple[str, ...] = setting(
        "messages with which a customer opts out of SMS from a long code at Twilio",
        keywords,
        "STOP,STOPALL,UNSUBSCRIBE,CANCEL,END,QUIT,REVOKE,OPTOUT",
    )
    sms_start_keywords: tuple[str, ...] = setting(
        "messages with which a customer opts in again at Twilio", keywords, "START,YES,UNSTOP"
    )
    sms_help_keywords: tuple[str, ...] = setting(
        "messages that Twilio answers with its help text", keywords, "HELP,INFO"
    )
    sends_ttl_hours: int = setting(
        "how long the row of a sent part accepts status callbacks", Within(int, 1, 8_760), "720"
    )
    stage_ttl_hours: int = setting("time to live of a staged row; the sweep extends it", Within(int, 1, 8_760), "72")
    orphan_grace_seconds: int = setting(
        "how long after BATCH_MAX_WAIT_SECONDS a staged row without a trigger counts as orphaned; "
        "the wait between two repairs doubles from this to sixteen times as long",
        Within(int, 1, 3_600),
        "60",
    )
    orphan_loud_after: int = setting(
        "after this many recoveries of one row, each further one is logged as an error", Within(int, 1, 1_000), "3"
    )

    @property
    def requeue_horizon_seconds(self) -> int:
        """How long a trigger that keeps failing keeps coming, in seconds."""
        return sum(self.requeue_delay(attempt) for attempt in range(1, self.requeue_attempts_max + 1))

    def requeue_delay(self, attempt: int) -> int:
        """The delay before a trigger's return number `attempt` (the first is 1), in seconds."""
        return min(self.requeue_delay_seconds << (attempt - 1), _REQUEUE_DELAY_MAX)
