-- Distributes the tables of a migrated database over the nodes of a Citus cluster, once:
--
--   psql "$DATABASE_DIRECT_URL" --set ON_ERROR_STOP=1 --file prisma/distribute.sql
--
-- on the coordinator, where the extension citus is, while no service writes. The service goes on to connect to the
-- coordinator: there the sequence of djstripe_id stays below 2^31, while on the other nodes it would count far above.
-- It has not been run with this version of the service: see the README, "Growing".

-- Every node has these whole, so that the foreign keys to them hold everywhere.
SELECT create_reference_table('stripe_session_billing_address_collection');
SELECT create_reference_table('stripe_session_mode');
SELECT create_reference_table('stripe_submit_type_status');
SELECT create_reference_table('stripe_progress');

-- By the session's id: all that one write touches is on one node.
SELECT create_distributed_table('checkout_session', 'id');
SELECT create_distributed_table('stripe_event', 'session_id', colocate_with => 'checkout_session');
