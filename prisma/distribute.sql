-- Distributes the tables of a migrated database over the workers of a Citus cluster, once:
--
--   psql "$DATABASE_DIRECT_URL" --set ON_ERROR_STOP=1 --file prisma/distribute.sql
--
-- on the coordinator, in a database that has the extension citus, while no service runs: a service asks at its start whether
-- it is on Citus. It connects to the coordinator alone. There the sequence of djstripe_id stays below 2^31, while on a
-- worker it would count far above: the service refuses to start on one. See "Citus" in docs/operations.md.
--
-- Rows that are there are copied to the workers. truncate_local_data_after_distributing_table('checkout_session') and
-- ('stripe_event') then free their space on the coordinator.

-- A distributed table has no such triggers, so there is no change feed: GET /api/changes answers 501.
DROP TRIGGER "checkout_session_log_inserted" ON "checkout_session";
DROP TRIGGER "checkout_session_log_updated" ON "checkout_session";
DROP TRIGGER "checkout_session_log_deleted" ON "checkout_session";
DROP TRIGGER "checkout_session_log_failure" ON "stripe_event";

-- Every node has these whole, so that the foreign keys to them hold everywhere.
SELECT create_reference_table('stripe_session_billing_address_collection');
SELECT create_reference_table('stripe_session_mode');
SELECT create_reference_table('stripe_submit_type_status');
SELECT create_reference_table('stripe_progress');

-- By the session's id: all that one write touches is on one node.
SELECT create_distributed_table('checkout_session', 'id');
SELECT create_distributed_table('stripe_event', 'session_id', colocate_with => 'checkout_session');
