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

-- The published properties of a session as JSON text, in the contract's order: what a read answers with. One expression:
-- PL/pgSQL evaluates it without running a query for each row. The function converts times to UTC itself, because a
-- `SET timezone` of the function costs as much as all conversions.
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

-- What follows from the raw object. Functions, because PostgreSQL reads the expressions of generated columns from its catalogue
-- for each statement: with the expressions in place an INSERT took 30 microseconds more. STRICT: no raw object, no value.

-- The raw object as Stripe's API answers it, kept as text: turning 3 KB of jsonb into text takes 20 to 30 microseconds, four times
-- as long as everything else that such a read asks of the database.
CREATE FUNCTION "checkout_session_stripe_document"("stripe_data" JSONB) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    -- Line items are an expansion in Stripe's API. client_secret is not stored, and strict SDKs want the property.
    RETURN left(("stripe_data" - 'line_items')::TEXT, -1) || ', "client_secret": null}';
END
$$;

-- Stripe's own mode: a client may have changed the published column.
CREATE FUNCTION "checkout_session_stripe_livemode"("stripe_data" JSONB) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE jsonb_typeof("stripe_data" -> 'livemode') WHEN 'boolean' THEN ("stripe_data" -> 'livemode')::BOOLEAN END;
END
$$;

-- The address that the customer typed, folded.
CREATE FUNCTION "checkout_session_email"("stripe_data" JSONB) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN lower("stripe_data" #>> '{customer_details,email}');
END
$$;

-- An id, or the id of the expanded object.
CREATE FUNCTION "checkout_session_reference"("stripe_data" JSONB, "name" TEXT) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE jsonb_typeof("stripe_data" -> "name")
        WHEN 'object' THEN "stripe_data" -> "name" ->> 'id' ELSE "stripe_data" ->> "name" END;
END
$$;

-- The day of "created" in UTC. A tombstone has none.
CREATE FUNCTION "checkout_session_day"("created" TIMESTAMPTZ) RETURNS DATE
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN isfinite("created") THEN ("created" AT TIME ZONE 'UTC')::DATE END;
END
$$;

-- Exactly one state for each session. Older API versions have no status.
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

-- In the smallest unit of the currency. Fifteen digits are more than any payment has, and fit a JSON number.
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

-- Is it paid, and how much? From the raw object, whose shape is Stripe's: what is of another type is null.
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

-- "stripe_gaps" has the columns that the newest state of Stripe does not carry, each with the stamp of the state that filled
-- it: [progress, second, event id, API version], or null where no state has carried it. So each column has the value of the
-- newest state that carries it, whatever the order of arrival.

-- The gaps after a newer state, which lacks the columns "missing". The stamp is that of the newest state until then.
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

-- The gaps that an older state fills, which carries the columns "carried" and has the stamp; NULL where it fills none.
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

-- A deleted session stays as its row, emptied of everything but the id: "version" 0 and "deleted_at". So the primary key
-- serialises creating and deleting an id.
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

    -- What follows from the raw object, for filters and for reads in Stripe's shape. PostgreSQL derives it, so every writer
    -- keeps it true. It depends on "stripe_data" alone: a PUT or PATCH does not decompress that.
    "checkout_email" TEXT GENERATED ALWAYS AS (checkout_session_email("stripe_data")) STORED,
    "customer_account" TEXT GENERATED ALWAYS AS (checkout_session_reference("stripe_data", 'customer_account')) STORED,
    "payment_link" TEXT GENERATED ALWAYS AS (checkout_session_reference("stripe_data", 'payment_link')) STORED,
    "invoice" TEXT GENERATED ALWAYS AS (checkout_session_reference("stripe_data", 'invoice')) STORED,
    "stripe_document" TEXT GENERATED ALWAYS AS (checkout_session_stripe_document("stripe_data")) STORED,
    "stripe_livemode" BOOLEAN GENERATED ALWAYS AS (checkout_session_stripe_livemode("stripe_data")) STORED,
    -- What the statistics of a day count. The values are short by construction, whatever Stripe or an import sent: an index entry
    -- has at most 2,704 bytes.
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

-- lz4 where the server has it: pglz takes a fifth of the time of an event.
DO $$
BEGIN
    IF 'lz4' = ANY ((SELECT "enumvals" FROM "pg_settings" WHERE "name" = 'default_toast_compression')::TEXT[]) THEN
        ALTER TABLE "checkout_session"
            ALTER COLUMN "stripe_data" SET COMPRESSION lz4,
            ALTER COLUMN "stripe_document" SET COMPRESSION lz4;
    END IF;
END
$$;

-- One index for each order of the list. Only that of "created" ends with the id: any number of rows may have no "created",
-- while few rows tie in the other orders, and a page sorts those by id. Indexes without the ids, of 66 characters, are half
-- as large, and what does not fit PostgreSQL's buffers is what a write waits for. The nulls of "created" come last in the
-- default order, so that one scan of an index reads the values and then the nulls.
CREATE INDEX "checkout_session_created_id_idx" ON "checkout_session" ("created" DESC NULLS LAST, "id" DESC);
CREATE INDEX "checkout_session_djstripe_created_idx" ON "checkout_session" ("djstripe_created");
CREATE INDEX "checkout_session_djstripe_updated_idx" ON "checkout_session" ("djstripe_updated");
CREATE INDEX "checkout_session_djstripe_id_idx" ON "checkout_session" ("djstripe_id");
CREATE INDEX "checkout_session_metadata_idx" ON "checkout_session" USING GIN ("metadata" jsonb_path_ops);

-- The filters people live by. Those by which one value may have many rows are in the default order too. Partial: rows
-- without a value cost nothing, and a value too long for a B-tree entry (2,704 bytes) is left out rather than refused.
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
-- An address, in whatever case. Two B-trees rather than one GIN index of both addresses: the planner knows how many rows one
-- address has, and takes any address for 0.5 % of the rows of a GIN index.
CREATE INDEX "checkout_session_customer_email_folded_idx" ON "checkout_session" (lower("customer_email"))
    WHERE octet_length("customer_email") BETWEEN 1 AND 1024;
CREATE INDEX "checkout_session_checkout_email_idx" ON "checkout_session" ("checkout_email")
    WHERE octet_length("checkout_email") BETWEEN 1 AND 1024;

-- The statistics of a day are counted from an index alone: rows of 4 KB would otherwise be read, and their raw objects
-- decompressed. Equal keys share an entry: most sessions of a shop have one of few amounts. "livemode" is last, so that the rows of
-- a group follow each other whether one mode is asked for or both.
CREATE INDEX "checkout_session_statistics_idx" ON "checkout_session"
    ("created_day", "payment_state", "currency", "amount_total", "livemode") WHERE "created_day" IS NOT NULL;

-- The ledger of Stripe's events: what arrived and what it did.
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

-- Serves the list and the retention.
CREATE INDEX "stripe_event_received_at_id_idx" ON "stripe_event" ("received_at", "id");

-- Where the command line left off.
CREATE TABLE "stripe_progress" (
    "task" TEXT NOT NULL,
    "state" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "stripe_progress_pkey" PRIMARY KEY ("task")
);
