"""Creates, reads, lists, patches, replaces and deletes sessions, and compares the answers with the requests."""

from datetime import datetime, timezone
from os import environ

from checkout_sessions import AuthenticatedClient, Client
from checkout_sessions.api.checkout_sessions import (
    checkout_sessions_create,
    checkout_sessions_destroy,
    checkout_sessions_list,
    checkout_sessions_partial_update,
    checkout_sessions_retrieve,
    checkout_sessions_update,
)
from checkout_sessions.models import (
    CheckoutSessionsListCount,
    CheckoutSessionsListMetadata,
    DjStripeCheckoutSession,
    DjStripeCheckoutSessionRequest,
    PaginatedDjStripeCheckoutSessionList,
    PatchedDjStripeCheckoutSessionRequest,
    Problem,
    StripeSessionMode,
)

FULL = {
    "billing_address_collection": "required",
    "mode": "subscription",
    "submit_type": "donate",
    "id": "cs_test_full",
    "livemode": False,
    "created": "2026-01-31T12:00:00+00:00",
    "metadata": {"order": "6735", "størrelse": "42"},
    "description": 'Three cups, "hand-made" 🫖',
    "cancel_url": "https://example.com/cancel?from=cart",
    "client_reference_id": "cart-6735",
    "customer_email": "buyer@example.com",
    "display_items": {"0": {"amount": 4294967296, "currency": "dkk"}},
    "locale": "en",
    "payment_method_types": {"0": "card", "1": "klarna"},
    "success_url": "https://example.com/success",
    "djstripe_owner_account": None,
    "customer": "cus_1",
    "payment_intent": "pi_1",
    "subscription": "sub_1",
}
LEAST = {
    "billing_address_collection": "auto",
    "mode": "payment",
    "submit_type": "pay",
    "id": "cs_test_least",
    "payment_method_types": {},
}
TEXTS = ["cancel_url", "client_reference_id", "customer_email", "locale", "success_url"]
EMPTY = {name: "" if name in TEXTS else None for name in FULL}

anonymous = Client(base_url=environ["BASE_URL"], raise_on_unexpected_status=True)
client = AuthenticatedClient(
    base_url=environ["BASE_URL"], token=environ["API_KEY"], raise_on_unexpected_status=True
)


def equal(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"\n  {actual!r}\nis not\n  {expected!r}")


def session(answer: object) -> DjStripeCheckoutSession:
    if not isinstance(answer, DjStripeCheckoutSession):
        raise AssertionError(f"not a session: {answer!r}")
    equal(answer.additional_properties, {})
    return answer


def problem(answer: object, status: int, kind: str) -> None:
    if not isinstance(answer, Problem):
        raise AssertionError(f"not a problem: {answer!r}")
    equal((answer.status, answer.type_), (status, kind))


def page(**filters: object) -> PaginatedDjStripeCheckoutSessionList:
    answer = checkout_sessions_list.sync(client=client, **filters)
    if not isinstance(answer, PaginatedDjStripeCheckoutSessionList):
        raise AssertionError(f"not a page: {answer!r}")
    return answer


def writable(one: DjStripeCheckoutSession) -> dict[str, object]:
    """Returns the fields of a session that a request may set."""
    read_only = ("djstripe_id", "djstripe_created", "djstripe_updated")
    return {name: value for name, value in one.to_dict().items() if name not in read_only}


def create(body: dict[str, object]) -> DjStripeCheckoutSession:
    request = DjStripeCheckoutSessionRequest.from_dict(body)
    return session(checkout_sessions_create.sync(client=client, body=request))


def read(id: str) -> DjStripeCheckoutSession:
    return session(checkout_sessions_retrieve.sync(id, client=client))


def delete(id: str) -> None:
    answer = checkout_sessions_destroy.sync_detailed(id, client=client)
    equal(answer.status_code, 204)
    problem(checkout_sessions_retrieve.sync(id, client=client), 404, "urn:problem:session-not-found")


problem(checkout_sessions_list.sync(client=anonymous), 401, "urn:problem:unauthorized")
equal(page().results, [])

started = datetime.now(timezone.utc)
full = create(FULL)
least = create(LEAST)
equal(full.mode, StripeSessionMode.SUBSCRIPTION)
equal(full.created, datetime(2026, 1, 31, 12, tzinfo=timezone.utc))
equal(abs((full.djstripe_created - started).total_seconds()) < 60, True)
equal(0 < full.djstripe_id < least.djstripe_id, True)
equal(writable(full), FULL)
equal(writable(least), EMPTY | LEAST)
equal(read(full.id), full)
equal(read(least.id), least)

equal(page(customer="cus_1").results, [full])
metadata = CheckoutSessionsListMetadata.from_dict({"metadata[order]": "6735"})
equal(page(metadata=metadata, djstripe_created_gte="2026-01-31").results, [full])
equal(page(djstripe_id_gte=least.djstripe_id, created_isnull=True).results, [least])
first = page(id_in=[full.id, least.id], limit=1, count=CheckoutSessionsListCount.EXACT)
equal((len(first.results), first.count, first.previous), (1, 2, None))
equal("cursor=" in str(first.next_), True)

changes = {"metadata": {"gift": "yes", "order": None}, "customer": None, "locale": "da"}
patched = session(
    checkout_sessions_partial_update.sync(
        full.id, client=client, body=PatchedDjStripeCheckoutSessionRequest.from_dict(changes)
    )
)
merged = {"metadata": {"størrelse": "42", "gift": "yes"}, "customer": None, "locale": "da"}
equal(writable(patched), FULL | merged)
equal((patched.djstripe_id, patched.djstripe_created), (full.djstripe_id, full.djstripe_created))
equal(patched.djstripe_updated > full.djstripe_updated, True)
equal(read(full.id), patched)

# A client may send back the whole session that it read, with the read-only properties.
whole = DjStripeCheckoutSessionRequest.from_dict(full.to_dict())
replaced = session(checkout_sessions_update.sync(full.id, client=client, body=whole, if_match="*"))
equal(writable(replaced), FULL)

delete(full.id)
delete(least.id)
equal(page().results, [])
