-- The columns that the newest state of Stripe's does not carry, each with the stamp of the state that filled it:
-- [progress, second, event id, API version], or null where no state has carried it. Each column then has the value of the
-- newest state that carries it, whatever the order of arrival. NULL where Stripe has sent nothing, and in older rows.
ALTER TABLE "checkout_session" ADD COLUMN "stripe_gaps" JSONB;

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
