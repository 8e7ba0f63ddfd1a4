//! async-stripe, unmodified, with the host of the service.
mod example;

use std::collections::HashSet;
use std::env::var;

use futures_util::TryStreamExt;
use stripe::{ClientBuilder, StripeError};
use stripe_checkout::checkout_session::{ListCheckoutSession, RetrieveCheckoutSession};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (url, key) = (var("BASE_URL").unwrap(), var("STRIPE_KEY").unwrap());
    let client = ClientBuilder::new(key).url(url).build().unwrap();

    let list = ListCheckoutSession::new().customer("cus_paged").limit(100);
    let sessions: Vec<_> = list.paginate().stream(&client).try_collect().await.unwrap();
    let ids: HashSet<_> = sessions.iter().map(|session| session.id.to_string()).collect();
    assert_eq!((sessions.len(), ids.len()), (250, 250));

    let session = RetrieveCheckoutSession::new("cs_test_items").send(&client).await.unwrap();
    assert_eq!(session.amount_total, Some(2198));

    let missing = RetrieveCheckoutSession::new("cs_test_none").send(&client).await;
    assert!(matches!(missing, Err(StripeError::Stripe(_, 404))), "{missing:?}");

    example::run().await.unwrap();
}
