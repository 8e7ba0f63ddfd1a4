-- Without the ids, of 66 characters, where few rows tie or share a value: a page sorts those by id. These indexes were
-- half of all, and what does not fit PostgreSQL's buffers is what a write waits for. Those of "created" and of the other
-- filters keep them: any number of rows may have no "created", or one customer.
--
-- Writes wait while they are built, reads go on. What these take the place of goes in a migration of its own: it waits
-- for reads too, and some of those would wait for this one.
ALTER INDEX "checkout_session_payment_intent_idx" RENAME TO "checkout_session_payment_intent_created_id_idx";
ALTER INDEX "checkout_session_subscription_idx" RENAME TO "checkout_session_subscription_created_id_idx";

CREATE INDEX "checkout_session_djstripe_created_idx" ON "checkout_session" ("djstripe_created");
CREATE INDEX "checkout_session_djstripe_updated_idx" ON "checkout_session" ("djstripe_updated");
CREATE INDEX "checkout_session_djstripe_id_idx" ON "checkout_session" ("djstripe_id");
CREATE INDEX "checkout_session_payment_intent_idx" ON "checkout_session" ("payment_intent")
    WHERE octet_length("payment_intent") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_subscription_idx" ON "checkout_session" ("subscription")
    WHERE octet_length("subscription") BETWEEN 1 AND 1024;
