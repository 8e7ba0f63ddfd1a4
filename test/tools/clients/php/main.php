<?php
/** Creates, reads, lists, patches and deletes a session, and compares the answers with the requests. */

declare(strict_types=1);

use CheckoutSessions\Api\CheckoutSessionsApi;
use CheckoutSessions\ApiException;
use CheckoutSessions\Configuration;
use CheckoutSessions\Model\DjStripeCheckoutSessionRequest;
use CheckoutSessions\Model\PatchedDjStripeCheckoutSessionRequest;

require 'GuzzleHttp/autoload.php';
spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, 'CheckoutSessions\\')) {
        require getenv('CLIENT') . '/lib/' . strtr(substr($class, strlen('CheckoutSessions\\')), '\\', '/') . '.php';
    }
});
set_error_handler(fn ($level, $message) => throw new ErrorException($message), E_ALL & ~E_DEPRECATED);

const ID = 'cs_test_php';

function equal(mixed $actual, mixed $expected): void
{
    if ($actual != $expected) {
        throw new Exception(json_encode($actual) . ' is not ' . json_encode($expected));
    }
}

function fails(int $status, string $kind, callable $call): void
{
    try {
        $call();
    } catch (ApiException $failure) {
        equal([$failure->getCode(), $failure->getResponseObject()->getType()], [$status, $kind]);
        return;
    }
    throw new Exception("no $kind");
}

$service = (new Configuration())->setHost(getenv('BASE_URL'));
$anonymous = new CheckoutSessionsApi(null, clone $service);
$sessions = new CheckoutSessionsApi(null, $service->setAccessToken(getenv('API_KEY')));
fails(401, 'urn:problem:unauthorized', fn () => $anonymous->checkoutSessionsList());

$body = [
    'billing_address_collection' => 'auto',
    'mode' => 'payment',
    'submit_type' => 'pay',
    'id' => ID,
    'payment_method_types' => ['0' => 'card'],
    'metadata' => ['order' => '6735', 'størrelse' => '42'],
    'customer' => 'cus_1',
];
[$created, , $headers] = $sessions->checkoutSessionsCreateWithHttpInfo(new DjStripeCheckoutSessionRequest($body));
equal((array) $created->getMetadata(), $body['metadata']);
equal((array) $created->getPaymentMethodTypes(), ['card']);
equal([$created->getMode(), $created->getCustomer(), $created->getLocale()], ['payment', 'cus_1', '']);
equal($sessions->checkoutSessionsRetrieve(ID), $created);

foreach (['6735' => [$created], '0' => []] as $order => $expected) {
    $page = $sessions->checkoutSessionsList(
        customer: 'cus_1',
        djstripe_created__gte: '2026-01-31',
        id__in: [ID, 'cs_test_no'],
        metadata: ['order' => $order],
    );
    equal($page->getResults(), $expected);
}

$etag = $headers['etag'][0];
$changes = new PatchedDjStripeCheckoutSessionRequest(['metadata' => ['order' => null, 'gift' => 'yes'], 'customer' => null]);
$patched = $sessions->checkoutSessionsPartialUpdate(ID, $changes, $etag);
equal([(array) $patched->getMetadata(), $patched->getCustomer()], [['størrelse' => '42', 'gift' => 'yes'], null]);
fails(412, 'urn:problem:precondition-failed', fn () => $sessions->checkoutSessionsPartialUpdate(ID, $changes, $etag));

$sessions->checkoutSessionsDestroy(ID);
fails(404, 'urn:problem:session-not-found', fn () => $sessions->checkoutSessionsRetrieve(ID));
