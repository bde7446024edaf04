"""replies-engine: the routes, the queues' consumers and the schedules. Decorators only; each body is one call."""

from __future__ import annotations

from chalicelib import garbage

garbage.pause()

from chalice.app import Chalice, CloudWatchEvent, Rate, Response, SQSEvent

from chalicelib import handlers, wiring
from chalicelib.channels.channel import Vendor
from chalicelib.settings import SWEEP_ORPHANS_MINUTES, SWEEP_STALLED_MINUTES
from chalicelib.settings.process import ai_worker_is_on, queue_name, workers_max

app = Chalice(app_name="replies-engine", configure_logs=False)  # our own logger writes each line, once
app.api.binary_types.append("multipart/form-data")  # an e-mail's bytes are signed as they are
wiring.build_on_lambda()

TRIGGERS_PER_EVENT = 10
ANYTHING = ["*/*"]
"""A wrong content type reaches our own handler, which answers it by the table."""


@app.route("/webhooks/whatsapp", methods=["POST"], content_types=ANYTHING)
def whatsapp_webhook() -> Response:
    """Twilio's webhook for WhatsApp; the prefix of the sender's address decides the channel."""
    return handlers.webhooks.receive_message(app.current_request, Vendor.TWILIO, wiring.engine())


@app.route("/webhooks/sms", methods=["POST"], content_types=ANYTHING)
def sms_webhook() -> Response:
    """Twilio's webhook for SMS; one Messaging Service URL may carry both channels."""
    return handlers.webhooks.receive_message(app.current_request, Vendor.TWILIO, wiring.engine())


@app.route("/webhooks/email", methods=["POST"], content_types=ANYTHING)
def email_webhook() -> Response:
    """SendGrid's Inbound Parse, signed by its security policy."""
    return handlers.webhooks.receive_message(app.current_request, Vendor.SENDGRID, wiring.engine())


@app.route("/webhooks/email/{token}", methods=["POST"], content_types=ANYTHING)
def email_webhook_with_token(token: str) -> Response:
    """The same for a company whose plan has no signing: a word in the URL that nobody can guess proves it."""
    return handlers.webhooks.receive_message(app.current_request, Vendor.SENDGRID, wiring.engine(), url_token=token)


@app.route("/webhooks/twilio/status/{send}", methods=["POST"], content_types=ANYTHING)
def twilio_status(send: str) -> Response:
    """Twilio's status callback for a message that was sent; `send` is our opaque id of it."""
    return handlers.webhooks.receive_delivery_report(app.current_request, Vendor.TWILIO, send, wiring.engine())


@app.route("/webhooks/{unknown}", methods=["GET", "POST"], content_types=ANYTHING)
def unknown_webhook(unknown: str) -> Response:  # noqa: ARG001
    """A webhook path that is none of ours."""
    return handlers.webhooks.unknown_path()


@app.route("/{unknown}", methods=["GET", "POST"], content_types=ANYTHING)
def unknown_path(unknown: str) -> Response:  # noqa: ARG001
    """A path that is none of ours."""
    return handlers.webhooks.unknown_path()


@app.on_sqs_message(
    queue=queue_name("WHATSAPP_QUEUE"), batch_size=TRIGGERS_PER_EVENT, maximum_concurrency=workers_max("WHATSAPP_QUEUE")
)
def batch_whatsapp(event: SQSEvent) -> None:
    """Batches of WhatsApp conversations."""
    handlers.queues.process_triggers(event.to_dict(), event.context, "whatsapp", wiring.engine())


@app.on_sqs_message(
    queue=queue_name("SMS_QUEUE"), batch_size=TRIGGERS_PER_EVENT, maximum_concurrency=workers_max("SMS_QUEUE")
)
def batch_sms(event: SQSEvent) -> None:
    """Batches of SMS conversations."""
    handlers.queues.process_triggers(event.to_dict(), event.context, "sms", wiring.engine())


@app.on_sqs_message(
    queue=queue_name("EMAIL_QUEUE"), batch_size=TRIGGERS_PER_EVENT, maximum_concurrency=workers_max("EMAIL_QUEUE")
)
def batch_email(event: SQSEvent) -> None:
    """Batches of e-mail conversations."""
    handlers.queues.process_triggers(event.to_dict(), event.context, "email", wiring.engine())


@app.on_sqs_message(
    queue=queue_name("AI_REPLIES_QUEUE"), batch_size=1, maximum_concurrency=workers_max("AI_REPLIES_QUEUE")
)
def send_replies(event: SQSEvent) -> None:
    """Replies of the company's AI, one at a time: each may take as long as the provider does."""
    handlers.queues.process_replies(event.to_dict(), event.context, wiring.engine())


@app.on_sqs_message(
    queue=queue_name("HUMAN_REPLIES_QUEUE"), batch_size=1, maximum_concurrency=workers_max("HUMAN_REPLIES_QUEUE")
)
def send_human_replies(event: SQSEvent) -> None:
    """Replies of the company's people, on a queue with rights of its own."""
    handlers.queues.process_human_replies(event.to_dict(), event.context, wiring.engine())


def answer_batches(event: SQSEvent) -> None:
    """The AI worker, on a stage that has it: one batch at a time."""
    handlers.queues.answer_batches(event.to_dict(), event.context, wiring.engine())


if ai_worker_is_on():
    reads_ai_queue = app.on_sqs_message(
        queue=queue_name("AI_QUEUE"), batch_size=1, maximum_concurrency=workers_max("AI_QUEUE")
    )
    answer_batches = reads_ai_queue(answer_batches)


@app.schedule(Rate(SWEEP_STALLED_MINUTES, unit=Rate.MINUTES))
def check_and_reset_stalled_conversations(event: CloudWatchEvent) -> None:
    """Reset stalled locks."""
    handlers.schedules.reset_stalled_locks(event.context, wiring.engine())


@app.schedule(Rate(SWEEP_ORPHANS_MINUTES, unit=Rate.MINUTES))
def recover_orphaned_messages(event: CloudWatchEvent) -> None:
    """Trigger or hand off orphaned messages."""
    handlers.schedules.recover_orphaned_messages(event.context, wiring.engine())


garbage.resume()
