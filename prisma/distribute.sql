-- Distributes the tables of a migrated database over the workers of a Citus cluster. Run it once, on the coordinator, in a
-- database that has the extension citus:
--
--   psql "$DATABASE_DIRECT_URL" --set ON_ERROR_STOP=1 --file prisma/distribute.sql
--
-- Stop all replicas of the service first: a replica checks only at its start whether it is on Citus. The service connects only
-- to the coordinator, where the sequence of djstripe_id stays below 2^31. On a worker the sequence would start far above, so
-- the service refuses to start on one. See "Citus" in docs/operations.md.
--
-- Citus copies existing rows to the workers. truncate_local_data_after_distributing_table('checkout_session') and
-- truncate_local_data_after_distributing_table('stripe_event') then free their space on the coordinator.

-- One transaction: after an error the triggers are still there, and so is the change feed.
BEGIN;

-- Citus supports no such triggers on a distributed table. So there is no change feed, and GET /api/changes answers 501.
DROP TRIGGER "checkout_session_log_inserted" ON "checkout_session";
DROP TRIGGER "checkout_session_log_updated" ON "checkout_session";
DROP TRIGGER "checkout_session_log_deleted" ON "checkout_session";
DROP TRIGGER "checkout_session_log_failure" ON "stripe_event";

-- Every node has a full copy of a reference table, so foreign keys to it work on all nodes.
SELECT create_reference_table('stripe_session_billing_address_collection');
SELECT create_reference_table('stripe_session_mode');
SELECT create_reference_table('stripe_submit_type_status');
SELECT create_reference_table('stripe_progress');

-- Both tables are distributed by the session's id, so all rows of one write are on one node.
SELECT create_distributed_table('checkout_session', 'id');
SELECT create_distributed_table('stripe_event', 'session_id', colocate_with => 'checkout_session');

COMMIT;
