-- The enum tables: the closed value sets of the contract, with dj-stripe's labels.

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

-- Returns the published properties of a session as JSON text, in the contract's order: the response body of a read. The body is
-- one expression, which PL/pgSQL evaluates without running a query. The function converts each time to UTC: a `SET timezone`
-- on the function costs as much as all conversions.
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

-- The functions of the generated columns. PostgreSQL reads the expressions of generated columns from its catalogue for each
-- statement. With the expressions in place of these calls an INSERT took 30 microseconds more. STRICT functions return null
-- without a raw object.

-- Returns the raw object in the shape of Stripe's API, as text. To turn 3 KB of jsonb into text at each read would take 20 to 30
-- microseconds, four times as long as the rest of such a read in the database.
CREATE FUNCTION "checkout_session_stripe_document"("stripe_data" JSONB) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    "json" BYTEA;
BEGIN
    -- Stripe's API sends line items only as an expansion. To remove a key copies the object, so it is looked up first.
    IF "stripe_data" ? 'line_items' THEN
        "stripe_data" := "stripe_data" - 'line_items';
    END IF;
    -- client_secret is not stored, but strict SDKs require the property. It replaces the last byte, the closing brace: left()
    -- would count the characters, which takes 20 microseconds.
    "json" := convert_to("stripe_data"::TEXT, 'UTF8');
    RETURN convert_from(substring("json" FROM 1 FOR length("json") - 1), 'UTF8') || ', "client_secret": null}';
END
$$;

-- Returns Stripe's value of livemode. A client may have changed the published column.
CREATE FUNCTION "checkout_session_stripe_livemode"("stripe_data" JSONB) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE jsonb_typeof("stripe_data" -> 'livemode') WHEN 'boolean' THEN ("stripe_data" -> 'livemode')::BOOLEAN END;
END
$$;

-- Returns the address that the customer typed at the checkout, in lower case.
CREATE FUNCTION "checkout_session_email"("stripe_data" JSONB) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN lower("stripe_data" #>> '{customer_details,email}');
END
$$;

-- Returns the id of a reference. Stripe sends a reference as an id, or as an expanded object that has the id.
CREATE FUNCTION "checkout_session_reference"("stripe_data" JSONB, "name" TEXT) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE jsonb_typeof("stripe_data" -> "name")
        WHEN 'object' THEN "stripe_data" -> "name" ->> 'id' ELSE "stripe_data" ->> "name" END;
END
$$;

-- Returns the day of "created" in UTC. A tombstone has no day: its "created" is -infinity.
CREATE FUNCTION "checkout_session_day"("created" TIMESTAMPTZ) RETURNS DATE
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN isfinite("created") THEN ("created" AT TIME ZONE 'UTC')::DATE END;
END
$$;

-- Returns exactly one state for each session. Older API versions of Stripe send no status.
CREATE FUNCTION "checkout_session_payment_state"("status" TEXT, "payment_status" TEXT) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN "status" IN ('open', 'expired') THEN "status"
        WHEN "payment_status" IN ('paid', 'unpaid', 'no_payment_required') THEN "payment_status"
        ELSE 'unknown'
    END;
END
$$;

-- Returns the amount in the smallest unit of the currency. No payment has more than fifteen digits, and fifteen digits fit a JSON
-- number.
CREATE FUNCTION "checkout_session_amount_total"("stripe_data" JSONB) RETURNS BIGINT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN jsonb_typeof("stripe_data" -> 'amount_total') = 'number' AND "stripe_data" ->> 'amount_total' ~ '^-?\d{1,15}$'
        THEN ("stripe_data" ->> 'amount_total')::BIGINT
    END;
END
$$;

CREATE FUNCTION "checkout_session_currency"("stripe_data" JSONB) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN jsonb_typeof("stripe_data" -> 'currency') = 'string' AND octet_length("stripe_data" ->> 'currency') = 3
        THEN lower("stripe_data" ->> 'currency')
    END;
END
$$;

-- Returns the payment of a session as JSON. Stripe defines the raw object, so the function writes null for a property of an
-- unexpected type.
CREATE FUNCTION "checkout_session_payment"("id" TEXT, "livemode" BOOLEAN, "stripe_data" JSONB) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN "stripe_data" IS NOT NULL THEN json_build_object(
        'id', "id",
        'status', CASE jsonb_typeof("stripe_data" -> 'status') WHEN 'string' THEN "stripe_data" -> 'status' END,
        'payment_status', CASE jsonb_typeof("stripe_data" -> 'payment_status') WHEN 'string' THEN "stripe_data" -> 'payment_status' END,
        'amount_subtotal', CASE jsonb_typeof("stripe_data" -> 'amount_subtotal') WHEN 'number' THEN "stripe_data" -> 'amount_subtotal' END,
        'amount_total', CASE jsonb_typeof("stripe_data" -> 'amount_total') WHEN 'number' THEN "stripe_data" -> 'amount_total' END,
        'currency', CASE jsonb_typeof("stripe_data" -> 'currency') WHEN 'string' THEN "stripe_data" -> 'currency' END,
        'expires_at', CASE WHEN jsonb_typeof("stripe_data" -> 'expires_at') = 'number'
            AND ("stripe_data" -> 'expires_at')::NUMERIC BETWEEN 0 AND 253402300799
            THEN to_char(to_timestamp(("stripe_data" -> 'expires_at')::NUMERIC::FLOAT8) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END,
        'livemode', "livemode"
    )::TEXT END
$$;

-- Applies a merge patch (RFC 7396). PostgreSQL merges under the row's lock, so two concurrent patches both survive. The language
-- is plpgsql, because a function in SQL cannot call itself.
CREATE FUNCTION "json_merge_patch"("target" JSONB, "patch" JSONB) RETURNS JSONB LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF "patch" IS NULL OR jsonb_typeof("patch") <> 'object' THEN
        RETURN "patch";
    END IF;
    IF "target" IS NULL OR jsonb_typeof("target") <> 'object' THEN
        "target" := '{}';
    END IF;
    -- Most patches only set strings. With no object to merge and no null to remove, || does the same without a query.
    IF NOT "patch" @? 'strict $.* ? (@.type() == "object" || @ == null)' THEN
        RETURN "target" || "patch";
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

-- "stripe_gaps" holds the gaps of a session: the columns that the newest state of Stripe does not carry. Each has the stamp of the
-- state that filled it, [progress, second, event id, API version], or null if no state has carried it. So each column has the
-- value of the newest state that carries it, in whatever order the states arrive.

-- Returns the gaps after a newer state, which lacks the columns "missing". The stamp belongs to the newest state before it.
CREATE FUNCTION "stripe_gaps_after_newer"(
    "gaps" JSONB, "missing" JSONB, "progress" SMALLINT, "second" BIGINT, "event_id" TEXT, "api_version" TEXT
) RETURNS JSONB LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg("name", CASE
            WHEN "gaps" ? "name" THEN "gaps" -> "name"
            WHEN "progress" IS NOT NULL THEN jsonb_build_array("progress", "second", "event_id", coalesce("api_version", ''))
        END), '{}')
        FROM jsonb_object_keys("missing") AS "name"
    );
END
$$;

-- Returns the gaps that an older state fills, or NULL if it fills none. The state carries the columns "carried" and has the stamp.
CREATE FUNCTION "stripe_gaps_filled"(
    "gaps" JSONB, "carried" JSONB, "progress" SMALLINT, "second" BIGINT, "event_id" TEXT, "api_version" TEXT
) RETURNS JSONB LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT jsonb_object_agg("gap"."key", jsonb_build_array("progress", "second", "event_id", coalesce("api_version", '')))
        FROM jsonb_each("gaps") AS "gap"
        WHERE "carried" ? "gap"."key" AND ("gap"."value" = 'null' OR (
            ("gap"."value" -> 0)::SMALLINT, ("gap"."value" -> 1)::BIGINT,
            ("gap"."value" ->> 2) COLLATE "C", ("gap"."value" ->> 3) COLLATE "C"
        ) < ("progress", "second", "event_id", coalesce("api_version", '')))
    );
END
$$;

-- The row of a deleted session stays as a tombstone: "version" is 0, "deleted_at" is set, and all other columns but the id are
-- empty. So the primary key serialises the create and the delete of an id.
CREATE TABLE "checkout_session" (
    "djstripe_id" BIGSERIAL NOT NULL,
    "billing_address_collection" TEXT NOT NULL,
    "mode" TEXT NOT NULL,
    "submit_type" TEXT NOT NULL,
    "djstripe_created" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "djstripe_updated" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- Ids are ASCII. The "C" collation compares them faster, and no upgrade of a locale library reorders its indexes.
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
    "deleted_at" TIMESTAMPTZ(6),
    "document" TEXT NOT NULL GENERATED ALWAYS AS (CASE WHEN "version" <> 0 THEN checkout_session_document(
        "djstripe_id", "billing_address_collection", "mode", "submit_type", "djstripe_created",
        "djstripe_updated", "id", "livemode", "created", "metadata", "description", "cancel_url",
        "client_reference_id", "customer_email", "display_items", "locale", "payment_method_types",
        "success_url", "djstripe_owner_account", "customer", "payment_intent", "subscription"
    ) ELSE '' END) STORED,
    "stripe_data" JSONB,
    "status" TEXT,
    "payment_status" TEXT,
    "stripe_progress" SMALLINT,
    "stripe_second" BIGINT,
    "stripe_event_id" TEXT,
    "stripe_api_version" TEXT,
    "stripe_gaps" JSONB,

    -- Columns for filters and for reads in Stripe's shape. PostgreSQL generates them, so they are right whoever writes. They
    -- depend only on "stripe_data", so a PUT or PATCH does not decompress it.
    "checkout_email" TEXT GENERATED ALWAYS AS (checkout_session_email("stripe_data")) STORED,
    "customer_account" TEXT GENERATED ALWAYS AS (checkout_session_reference("stripe_data", 'customer_account')) STORED,
    "payment_link" TEXT GENERATED ALWAYS AS (checkout_session_reference("stripe_data", 'payment_link')) STORED,
    "invoice" TEXT GENERATED ALWAYS AS (checkout_session_reference("stripe_data", 'invoice')) STORED,
    "stripe_document" TEXT GENERATED ALWAYS AS (checkout_session_stripe_document("stripe_data")) STORED,
    "stripe_livemode" BOOLEAN GENERATED ALWAYS AS (checkout_session_stripe_livemode("stripe_data")) STORED,
    -- Columns for the daily statistics. Their functions return only short values, whatever Stripe or an import sent: an index
    -- entry has at most 2,704 bytes.
    "created_day" DATE GENERATED ALWAYS AS (checkout_session_day("created")) STORED,
    "payment_state" TEXT GENERATED ALWAYS AS (checkout_session_payment_state("status", "payment_status")) STORED,
    "amount_total" BIGINT GENERATED ALWAYS AS (checkout_session_amount_total("stripe_data")) STORED,
    "currency" TEXT GENERATED ALWAYS AS (checkout_session_currency("stripe_data")) STORED,

    CONSTRAINT "checkout_session_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "checkout_session_billing_address_collection_fkey" FOREIGN KEY ("billing_address_collection")
        REFERENCES "stripe_session_billing_address_collection" ("value") ON DELETE NO ACTION ON UPDATE NO ACTION,
    CONSTRAINT "checkout_session_mode_fkey" FOREIGN KEY ("mode")
        REFERENCES "stripe_session_mode" ("value") ON DELETE NO ACTION ON UPDATE NO ACTION,
    CONSTRAINT "checkout_session_submit_type_fkey" FOREIGN KEY ("submit_type")
        REFERENCES "stripe_submit_type_status" ("value") ON DELETE NO ACTION ON UPDATE NO ACTION
);

-- Uses lz4 if the server supports it. The default, pglz, takes a fifth of the time of an event.
DO $$
BEGIN
    IF 'lz4' = ANY ((SELECT "enumvals" FROM "pg_settings" WHERE "name" = 'default_toast_compression')::TEXT[]) THEN
        ALTER TABLE "checkout_session"
            ALTER COLUMN "stripe_data" SET COMPRESSION lz4,
            ALTER COLUMN "stripe_document" SET COMPRESSION lz4;
    END IF;
END
$$;

-- Keeps "document" in its row, uncompressed, as long as the row fits a page. By default PostgreSQL tries to compress it at each
-- write of a row with a raw object, nearly always in vain.
ALTER TABLE "checkout_session" ALTER COLUMN "document" SET STORAGE MAIN;

-- One index for each order of the list. Only the index on "created" ends with the id, because any number of rows may have no
-- "created". Few rows tie in the other orders, and a page sorts those by id. An id has 66 characters, so the indexes without it
-- are half as large. That matters for writes, which wait for the index pages outside PostgreSQL's buffers. The nulls of "created"
-- come last in the default order, so one index scan reads the values and then the nulls.
CREATE INDEX "checkout_session_created_id_idx" ON "checkout_session" ("created" DESC NULLS LAST, "id" DESC);
CREATE INDEX "checkout_session_djstripe_created_idx" ON "checkout_session" ("djstripe_created");
CREATE INDEX "checkout_session_djstripe_updated_idx" ON "checkout_session" ("djstripe_updated");
CREATE INDEX "checkout_session_djstripe_id_idx" ON "checkout_session" ("djstripe_id");
CREATE INDEX "checkout_session_metadata_idx" ON "checkout_session" USING GIN ("metadata" jsonb_path_ops);

-- Indexes for the most used filters. If many rows may share a value, the index also has the default order of the list. The
-- indexes are partial: a row without a value costs nothing, and a value too long for a B-tree entry (2,704 bytes) is left out
-- instead of refused.
CREATE INDEX "checkout_session_customer_idx" ON "checkout_session" ("customer", "created" DESC NULLS LAST, "id" DESC)
    WHERE octet_length("customer") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_payment_intent_idx" ON "checkout_session" ("payment_intent")
    WHERE octet_length("payment_intent") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_subscription_idx" ON "checkout_session" ("subscription")
    WHERE octet_length("subscription") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_client_reference_id_idx" ON "checkout_session" ("client_reference_id", "created" DESC NULLS LAST, "id" DESC)
    WHERE octet_length("client_reference_id") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_customer_email_idx" ON "checkout_session" ("customer_email", "created" DESC NULLS LAST, "id" DESC)
    WHERE octet_length("customer_email") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_customer_account_idx" ON "checkout_session" ("customer_account", "created" DESC NULLS LAST, "id" DESC)
    WHERE octet_length("customer_account") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_payment_link_idx" ON "checkout_session" ("payment_link", "created" DESC NULLS LAST, "id" DESC)
    WHERE octet_length("payment_link") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_invoice_idx" ON "checkout_session" ("invoice")
    WHERE octet_length("invoice") BETWEEN 1 AND 1024;
-- Two B-tree indexes for the filter "email", which ignores case. One GIN index of both addresses was rejected: the planner assumes
-- 0.5 % of the rows for any address in a GIN index, but it knows the number of rows of an address in a B-tree.
CREATE INDEX "checkout_session_customer_email_folded_idx" ON "checkout_session" (lower("customer_email"))
    WHERE octet_length("customer_email") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_checkout_email_idx" ON "checkout_session" ("checkout_email")
    WHERE octet_length("checkout_email") BETWEEN 1 AND 1024;

-- The daily statistics are counted by an index-only scan. Otherwise PostgreSQL would read rows of 4 KB and decompress their raw
-- objects. A B-tree stores equal keys once, and most sessions of a shop have one of a few amounts. "livemode" comes last, so the
-- entries of a group are adjacent for a query of one mode and of both.
CREATE INDEX "checkout_session_statistics_idx" ON "checkout_session"
    ("created_day", "payment_state", "currency", "amount_total", "livemode") WHERE "created_day" IS NOT NULL;

-- The ledger of Stripe's events, with the outcome of each.
CREATE TABLE "stripe_event" (
    "id" TEXT COLLATE "C" NOT NULL,
    "type" TEXT NOT NULL,
    "account" TEXT,
    "livemode" BOOLEAN,
    "api_version" TEXT,
    "created" TIMESTAMPTZ(6) NOT NULL,
    "received_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "session_id" TEXT COLLATE "C" NOT NULL,
    "outcome" TEXT NOT NULL,

    CONSTRAINT "stripe_event_pkey" PRIMARY KEY ("session_id", "id")
);

-- Serves the list of events and the retention.
CREATE INDEX "stripe_event_received_at_id_idx" ON "stripe_event" ("received_at", "id");

-- The progress of backfill and catch-up.
CREATE TABLE "stripe_progress" (
    "task" TEXT NOT NULL,
    "state" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "stripe_progress_pkey" PRIMARY KEY ("task")
);
