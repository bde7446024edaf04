"""The settings that name a deployment's resources: its stage, URL, tables, bucket, queues and indexes."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.settings.parsing import Within, not_blank, setting, url, words


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Resources:
    """What a deployment's resources are called; no value is another deployment's."""

    stage: str = setting("the deployment stage: local, dev, prod, or a name of your own")
    log_level: str = setting(
        "the lowest level that is logged; DEBUG in dev, INFO in prod",
        words("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
    )
    public_base_url: str = setting(
        "the base of the webhook URLs as the provider calls them, up to `/webhooks`; empty: taken from the request",
        url,
        "",
    )

    conversations_table: str = setting("the company's conversations")
    stage_table: str = setting("messages received and not yet dispatched, handed off or refused")
    trigger_lock_table: str = setting("conversations that have a trigger in a queue")
    history_table: str = setting("entries moved out of the conversation's record")
    sends_table: str = setting("one row per outbound message part")
    unknown_senders_table: str = setting("which unknown senders were notified, and when")

    attachments_bucket: str = setting(
        "the bucket for attachments and long texts; `{account}` in it stands for the AWS account number", not_blank
    )

    whatsapp_queue: str = setting("triggers of the channel whatsapp")
    sms_queue: str = setting("triggers of the channel sms")
    email_queue: str = setting("triggers of the channel email")
    human_handoff_queue: str = setting("contexts for the company's people")
    ai_queue: str = setting("contexts for the company's AI worker")
    ai_replies_queue: str = setting("replies of the company's AI worker")
    human_replies_queue: str = setting("replies of the company's people")
    dead_letter_suffix: str = setting(
        "the suffix that makes a queue's name the name of its dead-letter queue", not_blank, "-dlq"
    )

    whatsapp_index: str = setting(
        "index that finds a WhatsApp conversation", not_blank, "company-whatsapp-number-recipient-tel-index"
    )
    whatsapp_index_company_key: str = setting("its hash key", not_blank, "gsi_company_whatsapp_number")
    whatsapp_index_customer_key: str = setting("its range key", not_blank, "gsi_recipient_tel")
    sms_index: str = setting(
        "index that finds an SMS conversation", not_blank, "company-sms-number-recipient-tel-index"
    )
    sms_index_company_key: str = setting("its hash key", not_blank, "gsi_company_sms_number")
    sms_index_customer_key: str = setting("its range key", not_blank, "gsi_recipient_tel")
    email_index: str = setting(
        "index that finds an e-mail conversation", not_blank, "company-email-recipient-email-index"
    )
    email_index_company_key: str = setting("its hash key", not_blank, "gsi_company_email")
    email_index_customer_key: str = setting("its range key", not_blank, "gsi_recipient_email")
    lock_index: str = setting("sparse index over locked conversations", not_blank, "conversation-lock-index")
    lock_index_shards: int = setting(
        "number of hash keys over which the lock index is spread; raise it, never lower it", Within(int, 1, 256), "16"
    )
