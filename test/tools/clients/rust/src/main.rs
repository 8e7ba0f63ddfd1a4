//! Creates, reads, lists, patches, replaces and deletes sessions, and compares the answers with the requests.

use checkout_sessions::apis::checkout_sessions_api::*;
use checkout_sessions::apis::configuration::Configuration;
use checkout_sessions::apis::Error;
use checkout_sessions::models::*;
use serde::{de::DeserializeOwned, Serialize};
use serde_json::{from_value, json, to_value, Map, Value};
use std::env::var;
use std::fmt::Debug;

mod unfiltered;
use unfiltered::unfiltered;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let service = Configuration {
        base_path: var("BASE_URL").unwrap(),
        bearer_access_token: Some(var("API_KEY").unwrap()),
        ..Configuration::default()
    };
    without_a_key_nothing_is_read(&service).await;

    assert_eq!(list(&service, unfiltered()).await.results.len(), 0);
    let full = create(&service, full_session()).await;
    let least = create(&service, least_session()).await;
    assert!(full.djstripe_id > 0 && least.djstripe_id > full.djstripe_id);
    assert_eq!(full.mode, StripeSessionMode::Subscription);
    assert_eq!(writable(&full), full_session());
    assert_eq!(writable(&least), with(least_session(), empty_texts()));
    assert_eq!(read(&service, &full.id).await, full);
    assert_eq!(read(&service, &least.id).await, least);

    lists(&service, &full, &least).await;
    patches(&service, &full).await;
    replaces(&service, &full).await;
    deletes(&service, &full.id).await;
    deletes(&service, &least.id).await;
    assert_eq!(list(&service, unfiltered()).await.results.len(), 0);
}

async fn without_a_key_nothing_is_read(service: &Configuration) {
    let anonymous = Configuration { bearer_access_token: None, ..service.clone() };
    let problem = failure(checkout_sessions_list(&anonymous, unfiltered()).await);
    assert_eq!((problem.status, problem.title.as_str()), (401, "An API key is required"));
}

async fn lists(service: &Configuration, full: &DjStripeCheckoutSession, least: &DjStripeCheckoutSession) {
    let mut params = unfiltered();
    params.customer = Some("cus_1".into());
    assert_eq!(list(service, params).await.results, [full.clone()]);

    let mut params = unfiltered();
    params.id__in = Some(vec![full.id.clone(), least.id.clone()]);
    params.limit = Some(1);
    let first = list(service, params).await;
    assert_eq!(first.results.len(), 1);
    assert!(first.next.unwrap().contains("cursor=") && first.previous.is_none());

    let mut params = unfiltered();
    params.djstripe_id__gte = Some(least.djstripe_id.into());
    assert_eq!(list(service, params).await.results, [least.clone()]);
}

async fn patches(service: &Configuration, full: &DjStripeCheckoutSession) {
    let changes = json!({ "metadata": { "gift": "yes" }, "customer": "cus_2", "locale": "da" });
    let params = CheckoutSessionsPartialUpdateParams {
        id: full.id.clone(),
        patched_dj_stripe_checkout_session_request: typed(changes),
        if_match: None,
        if_none_match: None,
    };
    let patched = checkout_sessions_partial_update(service, params).await.unwrap();
    let merged = json!({ "metadata": { "order": "6735", "størrelse": "42", "gift": "yes" }, "customer": "cus_2", "locale": "da" });
    assert_eq!(writable(&patched), with(full_session(), merged));
    assert_eq!(patched.djstripe_id, full.djstripe_id);
    assert_eq!(patched.djstripe_created, full.djstripe_created);
    assert_ne!(patched.djstripe_updated, full.djstripe_updated);
    assert_eq!(read(service, &full.id).await, patched);
}

async fn replaces(service: &Configuration, full: &DjStripeCheckoutSession) {
    let params = CheckoutSessionsUpdateParams {
        id: full.id.clone(),
        dj_stripe_checkout_session_request: typed(full_session()),
        if_match: Some("*".into()),
        if_none_match: None,
    };
    let replaced = checkout_sessions_update(service, params).await.unwrap();
    assert_eq!(writable(&replaced), full_session());
    assert_eq!(replaced.djstripe_id, full.djstripe_id);
}

async fn deletes(service: &Configuration, id: &str) {
    let params = CheckoutSessionsDestroyParams { id: id.into(), if_match: None, if_none_match: None };
    checkout_sessions_destroy(service, params).await.unwrap();
    let problem = failure(checkout_sessions_retrieve(service, by_id(id)).await);
    assert_eq!((problem.status, problem.title.as_str()), (404, "The Checkout Session does not exist"));
}

async fn create(service: &Configuration, body: Value) -> DjStripeCheckoutSession {
    let params = CheckoutSessionsCreateParams { dj_stripe_checkout_session_request: typed(body) };
    checkout_sessions_create(service, params).await.unwrap()
}

async fn read(service: &Configuration, id: &str) -> DjStripeCheckoutSession {
    checkout_sessions_retrieve(service, by_id(id)).await.unwrap()
}

async fn list(service: &Configuration, params: CheckoutSessionsListParams) -> PaginatedDjStripeCheckoutSessionList {
    checkout_sessions_list(service, params).await.unwrap()
}

fn by_id(id: &str) -> CheckoutSessionsRetrieveParams {
    CheckoutSessionsRetrieveParams { id: id.into(), include: None, if_none_match: None }
}

/// Converts through JSON, because the generator's versions have different types for nullable properties.
fn typed<T: DeserializeOwned>(body: Value) -> T {
    from_value(body).unwrap()
}

/// Returns the fields of a session that a request may set. Omits null, which some versions do not distinguish from absent.
fn writable<T: Serialize>(session: &T) -> Value {
    let Value::Object(mut fields) = to_value(session).unwrap() else { panic!("not an object") };
    fields.retain(|name, value| !name.starts_with("djstripe_") && !value.is_null());
    // Some versions write UTC as +00:00.
    if let Some(Value::String(created)) = fields.get_mut("created") {
        *created = created.replace("+00:00", "Z");
    }
    Value::Object(fields)
}

fn with(session: Value, changes: Value) -> Value {
    let (Value::Object(session), Value::Object(changes)) = (session, changes) else { panic!("not objects") };
    Value::Object(session.into_iter().chain(changes).collect::<Map<_, _>>())
}

/// Returns the problem document of a failed call, read by the generated type.
fn failure<T: Debug, E: Debug>(result: Result<T, Error<E>>) -> Problem {
    match result {
        Err(Error::ResponseError(response)) => serde_json::from_str(&response.content).unwrap(),
        other => panic!("expected a problem, got {other:?}"),
    }
}

fn full_session() -> Value {
    json!({
        "billing_address_collection": "required",
        "mode": "subscription",
        "submit_type": "donate",
        "id": "cs_test_full",
        "livemode": false,
        "created": "2026-01-31T12:00:00Z",
        "metadata": { "order": "6735", "størrelse": "42" },
        "description": "Three cups, \"hand-made\" 🫖",
        "cancel_url": "https://example.com/cancel?from=cart",
        "client_reference_id": "cart-6735",
        "customer_email": "buyer@example.com",
        "display_items": { "0": { "amount": 4_294_967_296_i64, "currency": "dkk" } },
        "locale": "en",
        "payment_method_types": { "0": "card", "1": "klarna" },
        "success_url": "https://example.com/success",
        "customer": "cus_1",
        "payment_intent": "pi_1",
        "subscription": "sub_1",
    })
}

fn least_session() -> Value {
    json!({
        "billing_address_collection": "auto",
        "mode": "payment",
        "submit_type": "pay",
        "id": "cs_test_least",
        "payment_method_types": {},
    })
}

fn empty_texts() -> Value {
    json!({ "cancel_url": "", "client_reference_id": "", "customer_email": "", "locale": "", "success_url": "" })
}
