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

-- An event of the ledger as JSON text, whatever the session's time zone.
CREATE FUNCTION "stripe_event_document"("event" "stripe_event") RETURNS TEXT
LANGUAGE sql STABLE PARALLEL SAFE SET timezone TO 'UTC' AS $$
    SELECT row_to_json("published")::TEXT FROM (
        SELECT "event"."id", "event"."type", "event"."account", "event"."livemode", "event"."api_version",
            "event"."created", "event"."received_at", "event"."session_id", "event"."outcome"
    ) AS "published"
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

