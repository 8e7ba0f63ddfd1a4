-- The same document, byte for byte for all times that the service stores (years 1 to 9999), from one expression: plpgsql
-- works that out by itself, where a query in its place is run as a statement for each row. Times are put in UTC by hand,
-- as a setting of the function took as long as they do.
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
) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN concat(
        '{"djstripe_id":', "djstripe_id",
        ',"billing_address_collection":', to_json("billing_address_collection"),
        ',"mode":', to_json("mode"),
        ',"submit_type":', to_json("submit_type"),
        ',"djstripe_created":', left(to_json("djstripe_created" AT TIME ZONE 'UTC')::TEXT, -1), '+00:00"',
        ',"djstripe_updated":', left(to_json("djstripe_updated" AT TIME ZONE 'UTC')::TEXT, -1), '+00:00"',
        ',"id":', to_json("id"),
        ',"livemode":', coalesce(to_json("livemode"), 'null'),
        ',"created":', coalesce(left(to_json("created" AT TIME ZONE 'UTC')::TEXT, -1) || '+00:00"', 'null'),
        ',"metadata":', coalesce("metadata", 'null'),
        ',"description":', coalesce(to_json("description"), 'null'),
        ',"cancel_url":', to_json("cancel_url"),
        ',"client_reference_id":', to_json("client_reference_id"),
        ',"customer_email":', to_json("customer_email"),
        ',"display_items":', coalesce("display_items", 'null'),
        ',"locale":', to_json("locale"),
        ',"payment_method_types":', "payment_method_types",
        ',"success_url":', to_json("success_url"),
        ',"djstripe_owner_account":', coalesce(to_json("djstripe_owner_account"), 'null'),
        ',"customer":', coalesce(to_json("customer"), 'null'),
        ',"payment_intent":', coalesce(to_json("payment_intent"), 'null'),
        ',"subscription":', coalesce(to_json("subscription"), 'null'),
        '}'
    );
END
$$;
