"""stripe-python, unmodified, with the host of the service. EXPECT is "reads", or names the error that a call raises."""

import os

import stripe

URL, KEY, READ_KEY, EXPECT = (os.environ[name] for name in ("BASE_URL", "STRIPE_KEY", "READ_KEY", "EXPECT"))


def sessions(key=KEY):
    client = stripe.StripeClient(key, base_addresses={"api": URL}, max_network_retries=0)
    return client.v1.checkout.sessions


def raises(call, kind, **fields):
    try:
        call()
    except kind as error:
        for name, value in fields.items():
            assert getattr(error, name) == value, (name, getattr(error, name), value)
    else:
        raise AssertionError(f"the call raised nothing instead of {kind}")


def reads():
    page = sessions().list({"limit": 100, "customer": "cus_paged"})
    forwards = [session.id for session in page.auto_paging_iter()]
    assert len(forwards) == len(set(forwards)) == 250, len(forwards)
    before = sessions().list({"limit": 100, "customer": "cus_paged", "ending_before": forwards[-1]})
    assert [session.id for session in before.auto_paging_iter()] == forwards[-2::-1]

    session = sessions().retrieve("cs_test_items")
    assert (session.status, session.amount_total, session.client_secret) == ("complete", 2198, None)
    items = sessions().line_items.list("cs_test_items", {"limit": 5})
    assert len({item.id for item in items.auto_paging_iter()}) == 23

    invalid = stripe.InvalidRequestError
    raises(lambda: sessions().retrieve("cs_test_none"), invalid, http_status=404, code="resource_missing")
    raises(lambda: sessions().list({"limit": 101}), invalid, code="parameter_invalid_integer", param="limit")
    raises(lambda: sessions().list({"size": 5}), invalid, code="parameter_unknown", param="size")
    raises(lambda: sessions().retrieve("cs_test_items", {"expand": ["customer"]}), invalid, param="expand")
    raises(lambda: sessions("sk_test_of_nobody").list(), stripe.AuthenticationError, http_status=401)
    raises(lambda: sessions(READ_KEY).list(), stripe.PermissionError, http_status=403)


def rate_limit():
    sessions().list()
    raises(lambda: sessions().list(), stripe.RateLimitError, http_status=429)


def unavailable():
    raises(lambda: sessions().list(), stripe.APIError, http_status=503)


{"reads": reads, "rate limit": rate_limit, "unavailable": unavailable}[EXPECT]()
