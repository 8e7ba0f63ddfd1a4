-- Creating and deleting an id are serialised by an advisory lock. Who has it must look for the tombstone in a
-- snapshot that is younger than the lock: a function in plpgsql takes a new one for each of its statements, so that
-- one statement can create many sessions.

-- Takes the lock of an id until the end of the transaction, and says whether the session was deleted.
CREATE FUNCTION "checkout_session_is_deleted"("session_id" TEXT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended("session_id", 0));
    RETURN EXISTS (SELECT FROM "checkout_session_tombstone" AS "t" WHERE "t"."id" = "session_id");
END
$$;

-- Takes the lock of an id until the end of the transaction, and forgets that the session was deleted.
CREATE FUNCTION "checkout_session_revive"("session_id" TEXT) RETURNS BOOLEAN LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended("session_id", 0));
    DELETE FROM "checkout_session_tombstone" AS "t" WHERE "t"."id" = "session_id";
    RETURN true;
END
$$;
