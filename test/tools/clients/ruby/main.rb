# Creates, reads, lists, patches and deletes a session, and compares the answers with the requests.

require 'uri'
require 'checkout_sessions'

ID = 'cs_test_ruby'

def equal(actual, expected)
  raise "\n  #{actual.inspect}\nis not\n  #{expected.inspect}" unless actual == expected
end

def fails(status, kind)
  yield
rescue CheckoutSessions::ApiError => e
  equal([e.code, JSON.parse(e.response_body)['type']], [status, kind])
else
  raise "no #{kind}"
end

def sessions(key)
  service = CheckoutSessions::Configuration.new
  url = URI(ENV.fetch('BASE_URL'))
  service.scheme = url.scheme
  service.host = "#{url.host}:#{url.port}"
  service.server_index = nil
  service.access_token = key
  CheckoutSessions::CheckoutSessionsApi.new(CheckoutSessions::ApiClient.new(service))
end

client = sessions(ENV.fetch('API_KEY'))
fails(401, 'urn:problem:unauthorized') { sessions(nil).checkout_sessions_list }

body = {
  billing_address_collection: 'auto',
  mode: 'payment',
  submit_type: 'pay',
  id: ID,
  payment_method_types: { '0' => 'card' },
  metadata: { 'order' => '6735', 'størrelse' => '42' },
  customer: 'cus_1'
}
created, _, headers = client.checkout_sessions_create_with_http_info(CheckoutSessions::DjStripeCheckoutSessionRequest.new(body))
equal(created.metadata, body[:metadata])
equal(created.payment_method_types, body[:payment_method_types])
equal([created.mode, created.customer, created.locale], ['payment', 'cus_1', ''])
equal(client.checkout_sessions_retrieve(ID), created)

filters = { customer: 'cus_1', djstripe_created__gte: '2026-01-31', id__in: [ID, 'cs_test_no'] }
equal(client.checkout_sessions_list(filters.merge(metadata: { order: '6735' })).results, [created])
equal(client.checkout_sessions_list(filters.merge(metadata: { order: '0' })).results, [])

changes = CheckoutSessions::PatchedDjStripeCheckoutSessionRequest.new(metadata: { order: nil, gift: 'yes' }, customer: nil)
etag = { if_match: headers['ETag'] }
patched = client.checkout_sessions_partial_update(ID, changes, etag)
equal([patched.metadata, patched.customer], [{ 'størrelse' => '42', 'gift' => 'yes' }, nil])
fails(412, 'urn:problem:precondition-failed') { client.checkout_sessions_partial_update(ID, changes, etag) }

client.checkout_sessions_destroy(ID)
fails(404, 'urn:problem:session-not-found') { client.checkout_sessions_retrieve(ID) }
