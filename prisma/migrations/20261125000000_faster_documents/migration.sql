-- The same document from a function in plpgsql: one in SQL is parsed and planned again by each statement that writes a
-- session, which took longer than the writing.
CREATE OR REPLACE FUNCTION "checkout_session_document"(
    "djstripe_id" BIGINT,
    "billing_address_collection" TEXT,
    "mode" TEXT,
    "submit_type" TEXT,
    "djstripe_created" TIMESTAMPTZ,
    "djstripe_updated" TIMESTAMPTZ,
    "id" TEXT,
    "livemode" BOOLEAN,
    "created" TIMESTAMPTZ,
    "metadata" JSONB,
    "description" TEXT,
    "cancel_url" TEXT,
    "client_reference_id" TEXT,
    "customer_email" TEXT,
    "display_items" JSONB,
    "locale" TEXT,
    "payment_method_types" JSONB,
    "success_url" TEXT,
    "djstripe_owner_account" TEXT,
    "customer" TEXT,
    "payment_intent" TEXT,
    "subscription" TEXT
) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET timezone TO 'UTC' AS $$
BEGIN
    RETURN (SELECT row_to_json("session")::TEXT FROM (
        SELECT "djstripe_id", "billing_address_collection", "mode", "submit_type", "djstripe_created",
            "djstripe_updated", "id", "livemode", "created", "metadata", "description", "cancel_url",
            "client_reference_id", "customer_email", "display_items", "locale", "payment_method_types",
            "success_url", "djstripe_owner_account", "customer", "payment_intent", "subscription"
    ) AS "session");
END
$$;
