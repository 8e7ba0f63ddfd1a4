import checkout.MetadataFilter;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.JSON;
import org.openapitools.client.api.CheckoutSessionsApi;
import org.openapitools.client.api.CheckoutSessionsApi.*;
import org.openapitools.client.model.*;

/** Creates, reads, lists, patches and deletes a session, and compares the answers with the requests. */
class Main {
  interface Call {
    Object run() throws ApiException;
  }

  static final String ID = "cs_test_java";

  public static void main(String[] args) throws Exception {
    CheckoutSessionsApi anonymous = new CheckoutSessionsApi(service());
    ApiClient service = service();
    service.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + System.getenv("API_KEY")));
    CheckoutSessionsApi sessions = new CheckoutSessionsApi(service);
    fails(401, "urn:problem:unauthorized", () -> anonymous.checkoutSessionsList(unfiltered().build()));

    var request = new DjStripeCheckoutSessionRequest()
        .billingAddressCollection(StripeSessionBillingAddressCollection.AUTO)
        .mode(StripeSessionMode.PAYMENT)
        .submitType(StripeSubmitTypeStatus.PAY)
        .id(ID)
        .paymentMethodTypes(Map.of("0", "card"))
        .metadata(Map.of("order", "6735", "størrelse", "42"))
        .customer("cus_1");
    var answer = sessions.checkoutSessionsCreateWithHttpInfo(request);
    var created = answer.getData();
    equal(created.getMetadata(), request.getMetadata());
    equal(created.getPaymentMethodTypes(), request.getPaymentMethodTypes());
    equal(List.of(created.getMode(), created.getCustomer(), created.getLocale()), List.of(StripeSessionMode.PAYMENT, "cus_1", ""));
    equal(sessions.checkoutSessionsRetrieve(ID, null, null), created);

    for (var expected : Map.of("6735", List.of(created), "0", List.of()).entrySet()) {
      var metadata = new MetadataFilter();
      metadata.put("order", expected.getKey());
      var list = unfiltered().customer("cus_1").djstripeCreatedGte("2026-01-31").idIn(List.of(ID, "cs_test_no")).metadata(metadata);
      equal(sessions.checkoutSessionsList(list.build()).getResults(), expected.getValue());
    }

    var etag = answer.getHeaders().get("etag").get(0);
    var merge = new HashMap<String, Object>();
    merge.put("order", null);
    merge.put("gift", "yes");
    var changes = new PatchedDjStripeCheckoutSessionRequest().metadata(merge).locale("da");
    var patched = sessions.checkoutSessionsPartialUpdate(ID, changes, etag, null);
    equal(patched.getMetadata(), Map.of("størrelse", "42", "gift", "yes"));
    equal(patched.getLocale(), "da");
    fails(412, "urn:problem:precondition-failed", () -> sessions.checkoutSessionsPartialUpdate(ID, changes, etag, null));

    sessions.checkoutSessionsDestroy(ID, null, null);
    fails(404, "urn:problem:session-not-found", () -> sessions.checkoutSessionsRetrieve(ID, null, null));
  }

  static ApiClient service() {
    var service = new ApiClient();
    service.updateBaseUri(System.getenv("BASE_URL"));
    return service;
  }

  static APICheckoutSessionsListRequest.Builder unfiltered() {
    return APICheckoutSessionsListRequest.newBuilder();
  }

  static void fails(int status, String kind, Call call) throws Exception {
    try {
      throw new AssertionError("no problem: " + call.run());
    } catch (ApiException failure) {
      var problem = JSON.getDefault().getMapper().readValue(failure.getResponseBody(), Problem.class);
      equal(List.of(failure.getCode(), problem.getStatus(), problem.getType().toString()), List.of(status, status, kind));
    }
  }

  static void equal(Object actual, Object expected) {
    if (!Objects.equals(actual, expected)) throw new AssertionError("\n  " + actual + "\nis not\n  " + expected);
  }
}
