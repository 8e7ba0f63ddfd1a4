-- What the smaller indexes take the place of. Where something reads the table for long, an export or a backup, they stay:
-- an upgrade waits for none, and nobody waits behind it. Then they are dropped by hand.
DO $$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    FOR "attempt" IN 1..10 LOOP
        BEGIN
            LOCK TABLE "checkout_session" IN ACCESS EXCLUSIVE MODE;
            DROP INDEX "checkout_session_djstripe_created_id_idx";
            DROP INDEX "checkout_session_djstripe_updated_id_idx";
            DROP INDEX "checkout_session_djstripe_id_id_idx";
            DROP INDEX "checkout_session_payment_intent_created_id_idx";
            DROP INDEX "checkout_session_subscription_created_id_idx";
            RETURN;
        EXCEPTION
            WHEN lock_not_available THEN PERFORM pg_sleep(0.2);
        END;
    END LOOP;
END
$$;
