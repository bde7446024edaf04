"""Twilio's codes: the meaning of each, who must act, and what we do.

Sources: `E` is the code's page of Twilio's error dictionary (twilio.com/docs/api/errors/CODE), `W` Twilio's guide to
WhatsApp's error codes, `F` reports from the field of projects that send through Twilio, `H` the meaning that HTTP gives
to a status. The dictionary rarely gives the HTTP status of a code, so the status decides only if the code does not.

A message may be sent again if Twilio itself did not pass it on: its queue was full or too slow, or it hit a rate limit.
"""

from __future__ import annotations

from typing import Final

from chalicelib.channels.channel import Refusals
from chalicelib.channels.outcomes import SERVER_ERROR, Actor, Arrives, Reaction, Row, Table

OPTED_OUT: Final = "21610"
OUTSIDE_WINDOW: Final = "63016"

REFUSALS: Final = Refusals(opted_out=OPTED_OUT, outside_window=OUTSIDE_WINDOW)

CUSTOMER, WRITER, OPERATOR, PROVIDER = Actor.CUSTOMER, Actor.WRITER, Actor.OPERATOR, Actor.PROVIDER
END, RETRY, IN_DOUBT, OURS_TO_MEND = Reaction.END, Reaction.RETRY, Reaction.IN_DOUBT, Reaction.OURS_TO_MEND
REPORT, EITHER = Arrives.BY_REPORT, Arrives.EITHER_WAY

TABLE: Final = Table.of(
    # What the status decides: whatever the code (5xx, 408), or where the code is in no row.
    Row(SERVER_ERROR, "Twilio or a gateway failed, perhaps after it took the message", PROVIDER, IN_DOUBT, "F"),
    Row("408", "the request took too long, perhaps after Twilio took the message", PROVIDER, IN_DOUBT, "H"),
    Row("401", "the credentials are not accepted", OPERATOR, OURS_TO_MEND, "H"),
    Row("403", "a suspended account, a restricted key, a token rotated a moment ago", OPERATOR, OURS_TO_MEND, "F"),
    Row("404", "no such account", OPERATOR, OURS_TO_MEND, "H"),
    Row("429", "too many requests", PROVIDER, RETRY, "H"),
    # The account and its credentials.
    Row("10001", "the account is not active", OPERATOR, OURS_TO_MEND, "E"),
    Row("10002", "a trial account lacks the feature", OPERATOR, OURS_TO_MEND, "E"),
    Row("20003", "the credentials are not accepted", OPERATOR, OURS_TO_MEND, "E"),
    Row("20005", "the account is not active", OPERATOR, OURS_TO_MEND, "E"),
    Row("20006", "the credentials have no access", OPERATOR, OURS_TO_MEND, "E"),
    Row("20008", "test credentials cannot do this", OPERATOR, OURS_TO_MEND, "E"),
    Row("20403", "access is forbidden", OPERATOR, OURS_TO_MEND, "E"),
    Row("20404", "no such account or service", OPERATOR, OURS_TO_MEND, "E"),
    Row("20429", "too many requests", PROVIDER, RETRY, "E"),
    # The request to send.
    Row("21211", "'To' is no valid number", CUSTOMER, END, "E"),
    Row("21212", "'From' is no valid number", OPERATOR, OURS_TO_MEND, "E"),
    Row("21214", "'To' cannot be reached", CUSTOMER, END, "E"),
    Row("21217", "'To' seems to be no number", CUSTOMER, END, "E"),
    Row("21219", "a trial account has not verified 'To'", OPERATOR, OURS_TO_MEND, "E"),
    Row("21266", "'To' and 'From' are the same number", CUSTOMER, END, "E"),
    Row("21408", "sending to the recipient's country is not enabled", OPERATOR, OURS_TO_MEND, "E"),
    Row("21601", "'From' cannot send messages", OPERATOR, OURS_TO_MEND, "E"),
    Row("21602", "the message has no body", WRITER, END, "E"),
    Row("21603", "there is no 'From'", OPERATOR, OURS_TO_MEND, "E"),
    Row("21604", "there is no 'To'", CUSTOMER, END, "E"),
    Row("21606", "'From' is no sender of the account", OPERATOR, OURS_TO_MEND, "E"),
    Row("21607", "a trial account may send from its sandbox number only", OPERATOR, OURS_TO_MEND, "E"),
    Row("21608", "a trial account has not verified 'To'", OPERATOR, OURS_TO_MEND, "E"),
    Row("21609", "the status callback is no valid URL", OPERATOR, OURS_TO_MEND, "E"),
    Row(OPTED_OUT, "the recipient has opted out", CUSTOMER, END, "E", EITHER),
    Row("21611", "the queue of 'From' is full", PROVIDER, RETRY, "E"),
    Row("21612", "'To' cannot be reached from 'From'", CUSTOMER, END, "E"),
    Row("21614", "'To' is no mobile number", CUSTOMER, END, "E"),
    Row("21616", "'From' is several numbers of the account", OPERATOR, OURS_TO_MEND, "E"),
    Row("21617", "the body is longer than 1,600 characters", WRITER, END, "E"),
    Row("21618", "the body cannot be sent", WRITER, END, "E"),
    Row("21619", "the message has neither body nor media", WRITER, END, "E"),
    Row("21620", "a media URL is not valid", WRITER, END, "E"),
    Row("21621", "'From' cannot send media", OPERATOR, OURS_TO_MEND, "E"),
    Row("21622", "the account cannot send media", OPERATOR, OURS_TO_MEND, "E"),
    Row("21623", "the message has too many media", WRITER, END, "E"),
    Row("21635", "'To' is a landline", CUSTOMER, END, "E"),
    Row("21654", "there is no ContentSid", WRITER, END, "E"),
    Row("21655", "the template's ContentSid is not valid", WRITER, END, "E"),
    Row("21656", "the template's variables are not valid", WRITER, END, "E"),
    Row("21657", "the sender id is not valid", OPERATOR, OURS_TO_MEND, "E"),
    Row("21658", "a parameter is too long", WRITER, END, "E"),
    Row("21659", "'From' is no number of Twilio's, or a short code of another country", OPERATOR, OURS_TO_MEND, "E"),
    Row("21660", "'From' is another account's number", OPERATOR, OURS_TO_MEND, "E"),
    Row("21661", "'From' cannot send SMS", OPERATOR, OURS_TO_MEND, "E"),
    Row("21662", "'From' and 'To' cannot be combined in the region of Ireland", OPERATOR, OURS_TO_MEND, "E"),
    Row("21663", "'From' is routed to another region", OPERATOR, OURS_TO_MEND, "E"),
    Row("21668", "the kind of number is not supported in the region of Ireland", OPERATOR, OURS_TO_MEND, "E"),
    Row(
        "217xx",
        "the Messaging Service is missing, not the account's, or has no fitting sender",
        OPERATOR,
        OURS_TO_MEND,
        "E",
    ),
    Row("21910", "'From' and 'To' are of different channels", OPERATOR, OURS_TO_MEND, "E"),
    # Rates and queues.
    Row("14107", "too many messages between two numbers", PROVIDER, RETRY, "E", EITHER, may_be_resent=True),
    Row("30001", "the queue is full", PROVIDER, RETRY, "E", EITHER, may_be_resent=True),
    Row("30022", "the rate limit of a registered US number is exceeded", OPERATOR, RETRY, "E", REPORT),
    Row("30023", "the daily limit of a registered US brand is reached", OPERATOR, RETRY, "E", REPORT),
    Row(
        "30036", "the message waited longer than its validity period", PROVIDER, RETRY, "E", REPORT, may_be_resent=True
    ),
    Row("63017", "the account sends too fast", PROVIDER, RETRY, "E", EITHER, may_be_resent=True),
    Row("63018", "the sender's limit on the channel is reached", PROVIDER, RETRY, "E", EITHER, may_be_resent=True),
    Row("63038", "the account's daily limit is reached", OPERATOR, RETRY, "E", EITHER),
    # What carriers report of SMS.
    Row("30002", "the account was suspended before the message left", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30003", "the handset is off or out of reach", CUSTOMER, END, "E", REPORT),
    Row("30004", "the recipient or carrier blocks the message", CUSTOMER, END, "E", REPORT),
    Row("30005", "the number is unknown", CUSTOMER, END, "E", REPORT),
    Row("30006", "the number is a landline or its carrier out of reach", CUSTOMER, END, "E", REPORT),
    Row("30007", "a carrier or Twilio filtered the message", WRITER, END, "E", REPORT),
    Row("30008", "the carrier told no reason", PROVIDER, END, "E", REPORT),
    Row("30010", "the price exceeds the price that was asked for", OPERATOR, END, "E", REPORT),
    Row("30011", "the recipient's network takes no media", CUSTOMER, END, "E", REPORT),
    Row("30017", "the carrier's network is congested", PROVIDER, END, "E", REPORT),
    Row("30018", "the carrier wants the sender registered", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30019", "the content is larger than the carrier takes", WRITER, END, "E", REPORT),
    Row("30020", "Twilio's scheduling failed", PROVIDER, END, "E", REPORT),
    Row("30021", "Twilio's Messaging Service failed", PROVIDER, END, "E", REPORT),
    Row("30024", "the sender is not provisioned at the carrier", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30027", "the daily limit at one US carrier is reached", OPERATOR, RETRY, "E", REPORT),
    Row("30032", "the toll-free number is not verified", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30033", "the US campaign is suspended", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30034", "the US number is not registered for applications", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30035", "the US number is still being configured", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30037", "the account may not send messages", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30038", "a one-time password was filtered", WRITER, END, "E", REPORT),
    Row("30039", "the message was filtered to end a loop", WRITER, END, "E", REPORT),
    Row("30040", "the carrier wants the sender registered", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30041", "the country wants the sender registered", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30042", "the alphanumeric sender is not the account's", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30043", "the country refuses international SMS on this way", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30044", "the message is longer than a trial account may send", OPERATOR, OURS_TO_MEND, "E", REPORT),
    Row("30046", "nobody confirmed the delivery", PROVIDER, END, "E", REPORT),
    Row("30410", "a provider behind Twilio did not answer in time", PROVIDER, END, "E", REPORT),
    Row("30450", "the delivery was blocked", CUSTOMER, END, "E", REPORT),
    Row("30500", "Twilio failed while it sent the message", PROVIDER, END, "E", REPORT),
    # WhatsApp and other channels.
    Row("63001", "the channel did not accept the sender's credentials", OPERATOR, OURS_TO_MEND, "W", EITHER),
    Row("63002", "'From' is no sender of the channel", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row("63003", "the recipient has no account on the channel", CUSTOMER, END, "W", EITHER),
    Row("63005", "the channel did not accept the content", WRITER, END, "W", REPORT),
    Row("63006", "the content cannot be formatted for the channel", WRITER, END, "E", EITHER),
    Row("63007", "'From' is no sender of the channel", OPERATOR, OURS_TO_MEND, "E"),
    Row("63008", "the channel is not configured at Twilio", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row("63009", "the channel failed", PROVIDER, END, "E", REPORT),
    Row("63010", "the channel failed", PROVIDER, END, "W", REPORT),
    Row("63011", "Twilio did not accept the request", WRITER, END, "E", REPORT),
    Row("63012", "the channel failed", PROVIDER, END, "W", REPORT),
    Row("63013", "the content breaks the channel's policy", WRITER, END, "W", REPORT),
    Row("63014", "the recipient has blocked the sender", CUSTOMER, END, "E", EITHER),
    Row("63015", "the recipient has not joined the sandbox", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row(OUTSIDE_WINDOW, "free text outside the window of 24 hours", WRITER, END, "E", EITHER),
    Row("63019", "the channel could not download a medium", WRITER, END, "W", REPORT),
    Row("63020", "the business has not accepted the channel's invitation", OPERATOR, OURS_TO_MEND, "W", EITHER),
    Row("63021", "the channel does not support the content", WRITER, END, "E", EITHER),
    Row("63022", "the business's display name is not certified", OPERATOR, OURS_TO_MEND, "W", EITHER),
    Row("63023", "the channel gave no reason", PROVIDER, END, "E", REPORT),
    Row("63024", "the recipient is not valid on the channel", CUSTOMER, END, "W", EITHER),
    Row("63025", "a medium was uploaded before", WRITER, END, "W", REPORT),
    Row("63026", "the content was flagged as spam", WRITER, END, "E", REPORT),
    Row("63027", "the template does not exist in the language", WRITER, END, "W", EITHER),
    Row("63028", "the template's variables do not fit in number", WRITER, END, "W", EITHER),
    Row("63029", "the recipient could not download the template", PROVIDER, END, "W", REPORT),
    Row("63030", "a parameter is not supported", WRITER, END, "W", EITHER),
    Row("63031", "'To' and 'From' are the same", CUSTOMER, END, "E", EITHER),
    Row("63032", "WhatsApp limits messages to this recipient", CUSTOMER, END, "W", REPORT),
    Row("63033", "the recipient has blocked the business", CUSTOMER, END, "W", EITHER),
    Row("63034", "a medium is too large", WRITER, END, "E", EITHER),
    Row("63037", "the channel could not take a medium", WRITER, END, "E", REPORT),
    Row("63040", "the template was rejected", WRITER, END, "E", EITHER),
    Row("63041", "the template is paused", WRITER, END, "E", EITHER),
    Row("63042", "the template is disabled", WRITER, END, "E", EITHER),
    Row("63049", "Meta chose not to deliver the message", CUSTOMER, END, "F", REPORT),
    Row("63050", "the recipient takes no marketing messages", CUSTOMER, END, "E", REPORT),
    Row("63051", "Meta has locked the business account", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row("63053", "the template is not synchronised yet", PROVIDER, RETRY, "E", EITHER),
    Row("63054", "the template is not available", WRITER, END, "E", EITHER),
    Row("63056", "the account may not send such messages", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row("63058", "the business may not message users in this country", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row("63059", "'From' was moved to another WhatsApp account", OPERATOR, OURS_TO_MEND, "E", EITHER),
    Row("63112", "Meta has disabled the business account", OPERATOR, OURS_TO_MEND, "E", EITHER),
    opted_out=OPTED_OUT,
)
