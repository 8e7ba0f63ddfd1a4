-- The log of the change feed. Triggers fill it, so no writer can forget it.
CREATE TABLE "checkout_session_change" (
    "seq" BIGSERIAL NOT NULL,
    "session_id" TEXT COLLATE "C" NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "version" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    -- Stripe's status and payment_status before the change.
    "old_status" TEXT,
    "old_payment_status" TEXT,
    -- The Stripe event that changed the session.
    "event_id" TEXT COLLATE "C",

    CONSTRAINT "checkout_session_change_pkey" PRIMARY KEY ("seq")
);

-- The greatest number that the retention removed. The table has one row.
CREATE TABLE "checkout_session_change_floor" (
    "only" BOOLEAN NOT NULL DEFAULT true,
    "seq" BIGINT NOT NULL,

    CONSTRAINT "checkout_session_change_floor_pkey" PRIMARY KEY ("only")
);
INSERT INTO "checkout_session_change_floor" ("seq") VALUES (0);

-- Announces that the transaction is about to draw numbers, and returns true. It takes a shared advisory lock. Its key is the last
-- number that the sequence gave out, so every number of this transaction is greater. PostgreSQL releases the lock once the commit
-- is visible.
--
-- A setting of the transaction marks it as announced, and later statements skip the lock. Without the mark each statement could
-- take one more lock, with another key, and the server has room for a few thousand. A rollback to a savepoint undoes both the
-- mark and the lock.
CREATE FUNCTION "checkout_session_change_announce"() RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF coalesce(current_setting('change_feed.announced', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock_shared(
            1667786855, (coalesce(pg_sequence_last_value('checkout_session_change_seq_seq'), 0) & 2147483647)::INTEGER
        );
        PERFORM set_config('change_feed.announced', 'true', true);
    END IF;
    RETURN true;
END
$$;

-- Returns the horizon: the number up to which no transaction can still add a change. It reads the sequence before the locks. A
-- writer that comes between the two statements draws numbers above "last". The key of a lock holds 31 bits of a number.
CREATE FUNCTION "checkout_session_change_horizon"() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    "last" BIGINT;
    "behind" BIGINT;
BEGIN
    "last" := coalesce(pg_sequence_last_value('checkout_session_change_seq_seq'), 0);
    SELECT max(("last" - "objid"::BIGINT) & 2147483647) INTO "behind" FROM pg_locks
        WHERE "locktype" = 'advisory' AND "classid" = 1667786855 AND "objsubid" = 2
            AND "database" = (SELECT "oid" FROM pg_database WHERE "datname" = current_database())
            -- A lock above "last" is of a writer that came between the two statements. Its distance wraps to almost 2^31.
            AND (("last" - "objid"::BIGINT) & 2147483647) < 1073741824;
    RETURN "last" - coalesce("behind", 0);
END
$$;

CREATE FUNCTION "checkout_session_is_paid"("status" TEXT, "payment_status" TEXT) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- API versions of Stripe before 2021 have no status.
    SELECT ("status" = 'complete' OR "status" IS NULL) AND "payment_status" <> 'unpaid'
$$;

CREATE FUNCTION "checkout_session_is_complete"("status" TEXT, "stripe_progress" SMALLINT) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT "status" = 'complete' OR "status" IS NULL AND "stripe_progress" = 1
$$;

-- Returns the source of a change. An import sets its source in the transaction's settings. The event is null if the change
-- stores no state of Stripe, and '' if the state is a snapshot.
CREATE FUNCTION "checkout_session_change_source"("event_id" TEXT) RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN current_setting('change_feed.source', true) = 'import' THEN 'import'
        WHEN "event_id" IS NULL THEN 'api'
        WHEN "event_id" = '' THEN 'snapshot'
        ELSE 'event'
    END
$$;

-- The triggers fire once for each statement and log all its rows, which is cheaper than once for each row. They draw the numbers
-- while the rows are locked, so the numbers of one session are in the order of its commits. They announce in a subquery inside a
-- CASE, which PostgreSQL runs once, at the first row to log. So a statement that waits for a row, or changes nothing, does not
-- hold up the readers. The functions keep the search path of this migration, because a restore may write sessions with an empty one.
--
-- A row with version 0 is a tombstone.

CREATE FUNCTION "checkout_session_log_inserted"() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO "checkout_session_change" ("session_id", "at", "version", "type", "source", "event_id")
    SELECT n."id", clock_timestamp(), n."version", CASE
            WHEN checkout_session_is_paid(n."status", n."payment_status") THEN 'paid'
            WHEN n."status" = 'expired' THEN 'expired'
            WHEN checkout_session_is_complete(n."status", n."stripe_progress") THEN 'completed'
            ELSE 'created'
        END, checkout_session_change_source(n."stripe_event_id"), nullif(n."stripe_event_id", '')
    FROM "inserted" AS n WHERE CASE WHEN n."version" <> 0 THEN (SELECT checkout_session_change_announce()) END;
    RETURN NULL;
END
$$;

-- Returns the event whose state filled gaps. It is a plpgsql function, because a subquery in its place would cost every statement.
CREATE FUNCTION "stripe_gaps_event"("gaps" JSONB, "before" JSONB) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT "gap"."value" ->> 2 FROM jsonb_each("gaps") AS "gap"
        WHERE "gap"."value" IS DISTINCT FROM "before" -> "gap"."key" LIMIT 1
    );
END
$$;

-- A newer state of Stripe moves the stamp. An older state fills gaps and leaves the stamp. PostgreSQL plans this statement once for
-- a connection and keeps the plan. The first statement may change one row and a later one a million, and a full join never
-- becomes nested loops. It also pairs an id that SQL by hand changed with nothing: a deletion and a creation.
CREATE FUNCTION "checkout_session_log_updated"() RETURNS TRIGGER LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    -- An INSERT with ON CONFLICT DO UPDATE fires this trigger too, nearly always without a row. To start the statement below takes
    -- longer than the whole trigger of an insertion.
    IF NOT EXISTS (SELECT FROM "after") THEN
        RETURN NULL;
    END IF;
    INSERT INTO "checkout_session_change"
        ("session_id", "at", "version", "type", "source", "old_status", "old_payment_status", "event_id")
    SELECT c."id", clock_timestamp(), c."version", c."type",
        checkout_session_change_source(c."event_id"), c."old_status", c."old_payment_status", nullif(c."event_id", '')
    FROM (
        SELECT coalesce(n."id", o."id") AS "id",
            CASE WHEN coalesce(n."version", 0) = 0 THEN o."version" ELSE n."version" END AS "version", CASE
                WHEN coalesce(n."version", 0) = 0 THEN 'deleted'
                WHEN checkout_session_is_paid(n."status", n."payment_status")
                    THEN CASE
                        WHEN checkout_session_is_paid(o."status", o."payment_status") IS NOT TRUE THEN 'paid'
                        WHEN coalesce(o."version", 0) = 0 THEN 'created' ELSE 'updated'
                    END
                WHEN n."status" = 'expired' AND o."status" IS DISTINCT FROM 'expired' THEN 'expired'
                WHEN checkout_session_is_complete(n."status", n."stripe_progress")
                    AND checkout_session_is_complete(o."status", o."stripe_progress") IS NOT TRUE THEN 'completed'
                WHEN coalesce(o."version", 0) = 0 THEN 'created'
                ELSE 'updated'
            END AS "type", CASE
                WHEN coalesce(n."version", 0) = 0 THEN NULL
                WHEN (n."stripe_progress", n."stripe_second", n."stripe_event_id", n."stripe_api_version")
                    IS DISTINCT FROM (o."stripe_progress", o."stripe_second", o."stripe_event_id", o."stripe_api_version")
                    THEN n."stripe_event_id"
                WHEN n."stripe_gaps" IS DISTINCT FROM o."stripe_gaps"
                    THEN stripe_gaps_event(n."stripe_gaps", o."stripe_gaps")
                -- Two snapshots of one second have the same stamp. Raw objects are large, so they are compared only in this case.
                WHEN n."stripe_event_id" = '' AND n."stripe_second" > extract(epoch FROM now()) - 300
                    AND n."stripe_data" IS DISTINCT FROM o."stripe_data" THEN ''
            END AS "event_id", o."status" AS "old_status", o."payment_status" AS "old_payment_status"
        FROM "after" AS n FULL JOIN "before" AS o ON o."id" = n."id"
        WHERE coalesce(n."version", 0) <> coalesce(o."version", 0)
            OR n."stripe_event_id" IS DISTINCT FROM o."stripe_event_id" AND n."stripe_event_id" <> ''
        -- OFFSET 0 lets PostgreSQL inline checkout_session_change_source. Otherwise each statement plans that function again.
        OFFSET 0
    ) AS c
    WHERE CASE WHEN c."id" IS NOT NULL THEN (SELECT checkout_session_change_announce()) END;
    RETURN NULL;
END
$$;

CREATE FUNCTION "checkout_session_log_deleted"() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO "checkout_session_change"
        ("session_id", "at", "version", "type", "source", "old_status", "old_payment_status")
    SELECT o."id", clock_timestamp(), o."version", 'deleted', checkout_session_change_source(NULL),
        o."status", o."payment_status"
    FROM "deleted" AS o WHERE CASE WHEN o."version" <> 0 THEN (SELECT checkout_session_change_announce()) END;
    RETURN NULL;
END
$$;

-- The event of a failed delayed payment changes no session if a refresh has stored its state before. So this trigger logs the
-- event itself. The lock on the session puts the change in order with the other changes of that session.
CREATE FUNCTION "checkout_session_log_failure"() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    "session" RECORD;
BEGIN
    SELECT s."version", s."status", s."payment_status" INTO "session" FROM "checkout_session" AS s
        WHERE s."id" = NEW."session_id" AND s."version" <> 0 FOR SHARE;
    IF FOUND AND checkout_session_change_announce() THEN
        INSERT INTO "checkout_session_change"
            ("session_id", "at", "version", "type", "source", "old_status", "old_payment_status", "event_id")
        VALUES (NEW."session_id", clock_timestamp(), "session"."version", 'payment_failed',
            checkout_session_change_source(NEW."id"), "session"."status", "session"."payment_status", NEW."id");
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER "checkout_session_log_inserted" AFTER INSERT ON "checkout_session" REFERENCING NEW TABLE AS "inserted"
    FOR EACH STATEMENT EXECUTE FUNCTION checkout_session_log_inserted();
CREATE TRIGGER "checkout_session_log_updated" AFTER UPDATE ON "checkout_session"
    REFERENCING OLD TABLE AS "before" NEW TABLE AS "after"
    FOR EACH STATEMENT EXECUTE FUNCTION checkout_session_log_updated();
CREATE TRIGGER "checkout_session_log_deleted" AFTER DELETE ON "checkout_session" REFERENCING OLD TABLE AS "deleted"
    FOR EACH STATEMENT EXECUTE FUNCTION checkout_session_log_deleted();
CREATE TRIGGER "checkout_session_log_failure" AFTER INSERT ON "stripe_event"
    FOR EACH ROW WHEN (NEW."type" = 'checkout.session.async_payment_failed' AND NEW."outcome" IN ('applied', 'stale'))
    EXECUTE FUNCTION checkout_session_log_failure();
