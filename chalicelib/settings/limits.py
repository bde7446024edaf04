"""The settings that bound secrets, calls to AWS and the record."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.settings.parsing import Within, company_pattern, setting

KEEPING_BESIDES_SECONDS = 3
"""Two connections, botocore's pause before a second try, and its wait for S3 to ask for the content."""


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Limits:
    """How long secrets are kept, how long calls may take, and how much a record holds."""

    credential_ref_pattern: str = setting(
        "where a secret's name contains its company, such as `ai-multi-comms/*-credentials/{company}/*/*`:"
        " a row that names another company's secret is refused; empty: no check",
        company_pattern,
        "",
    )
    secret_ttl_seconds: int = setting("how long a secret stays in memory", Within(int, 0, 86_400), "1800")
    secret_refresh_seconds: int = setting(
        "shortest time between two refreshes of a secret after a failed signature or a provider's refusal",
        Within(int, 1, 3_600),
        "60",
    )

    aws_connect_timeout_seconds: float = setting("to connect, for each try", Within(float, 0.05, 10), "0.5")
    aws_read_timeout_seconds: float = setting("to read, for each try", Within(float, 0.05, 20), "1")
    bucket_read_timeout_seconds: float = setting(
        "time to upload an object's content, and again to wait for S3's answer", Within(float, 0.1, 20), "4"
    )
    aws_tries: int = setting("tries of one call, including the first", Within(int, 1, 5), "2")
    webhook_deadline_seconds: float = setting(
        "a webhook starts no call to AWS after this time; Twilio waits 15 s with all retries",
        Within(float, 0.1, 12),
        "2.5",
    )
    worker_timeout_seconds: int = setting(
        "the workers' Lambda timeout, as in `.chalice/config.json`", Within(int, 1, 900), "30"
    )
    visibility_timeout_seconds: int = setting(
        "the trigger queues' visibility timeout, as in the template", Within(int, 2, 43_200), "180"
    )

    messages_keep: int = setting(
        "entries that a record keeps: the history that the AI gets; 0: history is never moved out of the record",
        Within(int, 0, 1_000),
        "40",
    )
    messages_bytes_max: int = setting("bytes of entries that a record keeps", Within(int, 4_096, 262_144), "32768")
    dedupe_hours: int = setting(
        "entries younger than this stay in the record if MESSAGES_BYTES_MAX allows", Within(int, 0, 8_760), "72"
    )

    @property
    def keeping_seconds(self) -> float:
        """How long keeping one object in the bucket takes at most, in seconds, connecting and a second try included."""
        return 2 * self.bucket_read_timeout_seconds + KEEPING_BESIDES_SECONDS
