-- The enum tables: the closed sets of the contract, with dj-stripe's labels.

CREATE TABLE "stripe_session_billing_address_collection" (
    "value" TEXT NOT NULL,
    "label" TEXT NOT NULL,

    CONSTRAINT "stripe_session_billing_address_collection_pkey" PRIMARY KEY ("value")
);

INSERT INTO "stripe_session_billing_address_collection" ("value", "label") VALUES
    ('auto', 'Auto'),
    ('required', 'Required');

CREATE TABLE "stripe_session_mode" (
    "value" TEXT NOT NULL,
    "label" TEXT NOT NULL,

    CONSTRAINT "stripe_session_mode_pkey" PRIMARY KEY ("value")
);

INSERT INTO "stripe_session_mode" ("value", "label") VALUES
    ('payment', 'Payment'),
    ('setup', 'Setup'),
    ('subscription', 'Subscription');

CREATE TABLE "stripe_submit_type_status" (
    "value" TEXT NOT NULL,
    "label" TEXT NOT NULL,

    CONSTRAINT "stripe_submit_type_status_pkey" PRIMARY KEY ("value")
);

INSERT INTO "stripe_submit_type_status" ("value", "label") VALUES
    ('auto', 'Auto'),
    ('book', 'Book'),
    ('donate', 'donate'),
    ('pay', 'pay');

-- The published properties of a session as JSON text, in the contract's order. Immutable in truth, not
-- by declaration alone: the only setting row_to_json reads, the time zone, is pinned.
CREATE FUNCTION "checkout_session_document"(
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
) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE SET timezone TO 'UTC' AS $$
    SELECT row_to_json("session")::TEXT FROM (
        SELECT "djstripe_id", "billing_address_collection", "mode", "submit_type", "djstripe_created",
            "djstripe_updated", "id", "livemode", "created", "metadata", "description", "cancel_url",
            "client_reference_id", "customer_email", "display_items", "locale", "payment_method_types",
            "success_url", "djstripe_owner_account", "customer", "payment_intent", "subscription"
    ) AS "session"
$$;

-- RFC 7396, so that a merge patch is one statement and two of them at once both survive. plpgsql, because
-- a function in SQL cannot name itself.
CREATE FUNCTION "json_merge_patch"("target" JSONB, "patch" JSONB) RETURNS JSONB LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF "patch" IS NULL OR jsonb_typeof("patch") <> 'object' THEN
        RETURN "patch";
    END IF;
    IF "target" IS NULL OR jsonb_typeof("target") <> 'object' THEN
        "target" := '{}';
    END IF;
    RETURN (
        SELECT coalesce(jsonb_object_agg("key", CASE
            WHEN "changed"."value" IS NULL THEN "kept"."value"
            ELSE json_merge_patch("kept"."value", "changed"."value")
        END), '{}')
        FROM jsonb_each("target") AS "kept" FULL JOIN jsonb_each("patch") AS "changed" USING ("key")
        WHERE jsonb_typeof("changed"."value") IS DISTINCT FROM 'null'
    );
END
$$;

CREATE TABLE "checkout_session" (
    "djstripe_id" BIGSERIAL NOT NULL,
    "billing_address_collection" TEXT NOT NULL,
    "mode" TEXT NOT NULL,
    "submit_type" TEXT NOT NULL,
    "djstripe_created" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "djstripe_updated" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- Ids are ASCII: the "C" collation compares them faster and no library upgrade reorders an index.
    "id" TEXT COLLATE "C" NOT NULL,
    "livemode" BOOLEAN,
    "created" TIMESTAMPTZ(6),
    "metadata" JSONB,
    "description" TEXT,
    "cancel_url" TEXT NOT NULL DEFAULT '',
    "client_reference_id" TEXT NOT NULL DEFAULT '',
    "customer_email" TEXT NOT NULL DEFAULT '',
    "display_items" JSONB,
    "locale" TEXT NOT NULL DEFAULT '',
    "payment_method_types" JSONB NOT NULL,
    "success_url" TEXT NOT NULL DEFAULT '',
    "djstripe_owner_account" TEXT,
    "customer" TEXT,
    "payment_intent" TEXT,
    "subscription" TEXT,
    "version" INTEGER NOT NULL DEFAULT 1,
    "document" TEXT NOT NULL GENERATED ALWAYS AS (checkout_session_document(
        "djstripe_id", "billing_address_collection", "mode", "submit_type", "djstripe_created",
        "djstripe_updated", "id", "livemode", "created", "metadata", "description", "cancel_url",
        "client_reference_id", "customer_email", "display_items", "locale", "payment_method_types",
        "success_url", "djstripe_owner_account", "customer", "payment_intent", "subscription"
    )) STORED,
    "stripe_data" JSONB,
    "status" TEXT,
    "payment_status" TEXT,
    "stripe_progress" SMALLINT,
    "stripe_second" BIGINT,
    "stripe_event_id" TEXT,
    "stripe_api_version" TEXT,

    CONSTRAINT "checkout_session_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "checkout_session_billing_address_collection_fkey" FOREIGN KEY ("billing_address_collection")
        REFERENCES "stripe_session_billing_address_collection" ("value") ON DELETE NO ACTION ON UPDATE NO ACTION,
    CONSTRAINT "checkout_session_mode_fkey" FOREIGN KEY ("mode")
        REFERENCES "stripe_session_mode" ("value") ON DELETE NO ACTION ON UPDATE NO ACTION,
    CONSTRAINT "checkout_session_submit_type_fkey" FOREIGN KEY ("submit_type")
        REFERENCES "stripe_submit_type_status" ("value") ON DELETE NO ACTION ON UPDATE NO ACTION
);

-- One index for each order of the list, ties broken by id.
CREATE INDEX "checkout_session_created_id_idx" ON "checkout_session" ("created", "id");
CREATE INDEX "checkout_session_djstripe_created_id_idx" ON "checkout_session" ("djstripe_created", "id");
CREATE INDEX "checkout_session_djstripe_updated_id_idx" ON "checkout_session" ("djstripe_updated", "id");
CREATE INDEX "checkout_session_djstripe_id_id_idx" ON "checkout_session" ("djstripe_id", "id");
CREATE INDEX "checkout_session_metadata_idx" ON "checkout_session" USING GIN ("metadata" jsonb_path_ops);

-- The filters people live by, each in the default order. Partial: rows without a value cost nothing, and a
-- value too long for a B-tree entry (2,704 bytes) is left out rather than refused.
CREATE INDEX "checkout_session_customer_idx" ON "checkout_session" ("customer", "created", "id")
    WHERE octet_length("customer") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_payment_intent_idx" ON "checkout_session" ("payment_intent", "created", "id")
    WHERE octet_length("payment_intent") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_subscription_idx" ON "checkout_session" ("subscription", "created", "id")
    WHERE octet_length("subscription") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_client_reference_id_idx" ON "checkout_session" ("client_reference_id", "created", "id")
    WHERE octet_length("client_reference_id") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_customer_email_idx" ON "checkout_session" ("customer_email", "created", "id")
    WHERE octet_length("customer_email") BETWEEN 1 AND 1024;

CREATE TABLE "checkout_session_tombstone" (
    "id" TEXT COLLATE "C" NOT NULL,
    "deleted_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "checkout_session_tombstone_pkey" PRIMARY KEY ("id")
);
