-- Raw objects are compressed with lz4 where the server has it: pglz took a fifth of the time of an event. What is stored
-- already stays as it is, and is read as before. Where something reads the table for long, an export or a backup, it is
-- left at that: an upgrade waits for none, and nobody waits behind it.
DO $$
BEGIN
    IF 'lz4' = ANY ((SELECT "enumvals" FROM "pg_settings" WHERE "name" = 'default_toast_compression')::TEXT[]) THEN
        PERFORM set_config('lock_timeout', '500ms', true);
        ALTER TABLE "checkout_session" ALTER COLUMN "stripe_data" SET COMPRESSION lz4;
    END IF;
EXCEPTION
    WHEN lock_not_available THEN NULL;
END
$$;
