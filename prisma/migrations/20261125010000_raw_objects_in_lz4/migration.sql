-- Raw objects are compressed with lz4 where the server has it: pglz took a fifth of the time of an event. What is stored
-- already stays as it is, and is read as before.
DO $$
BEGIN
    IF 'lz4' = ANY ((SELECT "enumvals" FROM "pg_settings" WHERE "name" = 'default_toast_compression')::TEXT[]) THEN
        ALTER TABLE "checkout_session" ALTER COLUMN "stripe_data" SET COMPRESSION lz4;
    END IF;
END
$$;
