"""A signature counts where Twilio's own library accepts it, and nowhere else."""

from __future__ import annotations

import pytest
from chalice.app import MultiDict
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from chalicelib.channels.twilio import signatures

URLS = (
    "https://hooks.example.com/webhooks/sms",
    "https://hooks.example.com:443/webhooks/sms",
    "https://hooks.example.com:8443/webhooks/sms?tenant=1&tenant=2",
    "http://127.0.0.1:8000/webhooks/whatsapp",
    "http://user:word@hooks.example.com/a%20b",
    "https://hooks.example.com/webhooks/sms?bodySHA256=0",
)
NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
FORMS = st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=3), max_size=6)


@given(form=FORMS, signed_url=st.sampled_from(URLS), url=st.sampled_from(URLS), token=st.sampled_from(("one", "two")))
def test_a_signature_counts_where_the_library_accepts_it(
    form: dict[str, list[str]], signed_url: str, url: str, token: str
):
    """Repeated and blank parameters, ports told and not told, other URLs, another token."""
    signature = RequestValidator("one").compute_signature(signed_url, MultiDict(form))

    is_signed = signatures.is_signed(url, signatures.ordered(form), token, signature)

    assert is_signed == RequestValidator(token).validate(url, MultiDict(form), signature)


@given(signature=st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
def test_another_text_is_no_signature(signature: str):
    """Whatever a header holds."""
    assert not signatures.is_signed(URLS[0], signatures.ordered({"Body": ["hello"]}), "one", signature)


@pytest.mark.parametrize("url", ["https://hooks.example.com:port/webhooks/sms", "https://[/webhooks/sms"])
def test_a_host_that_is_none_is_an_error(url: str):
    """The Host header is the caller's to set."""
    with pytest.raises(ValueError, match=r"."):
        signatures.is_signed(url, b"", "one", "signature")
