"""SendGrid's statuses: the meaning of each, who must act, and what we do.

SendGrid has no codes. The status decides, and the field that the error names is shown beside it. Sources: `E` is the
page of errors of SendGrid's v3 API, `S` SendGrid's support page on 4xx answers, `H` the meaning that HTTP gives to a
status.
"""

from __future__ import annotations

from typing import Final

from chalicelib.channels.outcomes import SERVER_ERROR, Actor, Reaction, Row, Table

WRITER, OPERATOR, PROVIDER = Actor.WRITER, Actor.OPERATOR, Actor.PROVIDER
END, RETRY, IN_DOUBT, OURS_TO_MEND = Reaction.END, Reaction.RETRY, Reaction.IN_DOUBT, Reaction.OURS_TO_MEND

TABLE: Final = Table.of(
    Row(SERVER_ERROR, "SendGrid or a gateway failed, perhaps after it took the e-mail", PROVIDER, IN_DOUBT, "E"),
    Row("408", "the request took too long, perhaps after SendGrid took the e-mail", PROVIDER, IN_DOUBT, "H"),
    Row("400", "a field of the e-mail is not valid", WRITER, END, "E"),
    Row("401", "the key is revoked or may not send, or the credits are used up", OPERATOR, OURS_TO_MEND, "S"),
    Row(
        "403", "the sender is not verified, the key lacks a right, or requests are blocked", OPERATOR, OURS_TO_MEND, "S"
    ),
    Row("404", "no such resource: the base URL leads elsewhere", OPERATOR, OURS_TO_MEND, "S"),
    Row("405", "no such method: the base URL leads elsewhere", OPERATOR, OURS_TO_MEND, "S"),
    Row("406", "the Accept header is missing: something on the way removed it", OPERATOR, OURS_TO_MEND, "E"),
    Row("413", "the e-mail is larger than 30 MB", WRITER, END, "S"),
    Row("415", "the content type is not supported", WRITER, END, "H"),
    Row("421", "the request reached a server that is not responsible for it", PROVIDER, RETRY, "H"),
    Row("422", "the e-mail is not valid", WRITER, END, "H"),
    Row("425", "the request came too early on its connection", PROVIDER, RETRY, "H"),
    Row("429", "too many requests", PROVIDER, RETRY, "E"),
    Row("451", "the region of the account's data does not allow it", OPERATOR, OURS_TO_MEND, "E"),
)
