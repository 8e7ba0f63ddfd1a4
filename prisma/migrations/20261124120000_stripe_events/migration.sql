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
