// Creates, reads, lists, patches and deletes a session, and compares the answers with the requests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"

	sessions "clients/checkoutsessions"
)

func main() {
	configuration := sessions.NewConfiguration()
	configuration.Servers = sessions.ServerConfigurations{{URL: os.Getenv("BASE_URL")}}
	client := sessions.NewAPIClient(configuration).CheckoutSessionsAPI
	anonymous := context.Background()
	ctx := context.WithValue(anonymous, sessions.ContextAccessToken, os.Getenv("API_KEY"))

	_, _, err := client.CheckoutSessionsList(anonymous).Execute()
	problem(err, 401, "urn:problem:unauthorized")

	request := sessions.NewDjStripeCheckoutSessionRequest(
		sessions.STRIPESESSIONBILLINGADDRESSCOLLECTION_AUTO,
		sessions.STRIPESESSIONMODE_PAYMENT,
		sessions.STRIPESUBMITTYPESTATUS_PAY,
		"cs_test_go",
		map[string]interface{}{"0": "card"},
	)
	request.Metadata = map[string]interface{}{"order": "6735", "størrelse": "42"}
	request.SetCustomer("cus_1")
	created, response, err := client.CheckoutSessionsCreate(ctx).DjStripeCheckoutSessionRequest(*request).Execute()
	succeeds(err)
	equal(created.Metadata, request.Metadata)
	equal(created.PaymentMethodTypes, request.PaymentMethodTypes)
	equal([]interface{}{created.Mode, created.GetCustomer(), created.GetLocale()}, []interface{}{request.Mode, "cus_1", ""})
	read, _, err := client.CheckoutSessionsRetrieve(ctx, "cs_test_go").Execute()
	succeeds(err)
	equal(read, created)

	list := client.CheckoutSessionsList(ctx).Customer("cus_1").DjstripeCreatedGte("2026-01-31").Mode("payment").Count("exact")
	for order, found := range map[string]int{"6735": 1, "0": 0} {
		page, _, err := list.IdIn([]string{"cs_test_go", "cs_test_no"}).Metadata(map[string]interface{}{"order": order}).Execute()
		succeeds(err)
		equal([]int{len(page.Results), int(page.GetCount())}, []int{found, found})
	}

	changes := sessions.PatchedDjStripeCheckoutSessionRequest{Metadata: map[string]interface{}{"order": nil, "gift": "yes"}}
	changes.SetCustomerNil()
	patch := client.CheckoutSessionsPartialUpdate(ctx, "cs_test_go").PatchedDjStripeCheckoutSessionRequest(changes)
	patched, _, err := patch.IfMatch(response.Header.Get("ETag")).Execute()
	succeeds(err)
	equal(patched.Metadata, map[string]interface{}{"størrelse": "42", "gift": "yes"})
	equal(patched.Customer.Get() == nil, true)
	_, _, err = patch.IfMatch(response.Header.Get("ETag")).Execute()
	problem(err, 412, "urn:problem:precondition-failed")

	_, err = client.CheckoutSessionsDestroy(ctx, "cs_test_go").Execute()
	succeeds(err)
	_, _, err = client.CheckoutSessionsRetrieve(ctx, "cs_test_go").Execute()
	problem(err, 404, "urn:problem:session-not-found")
}

func problem(err error, status int32, kind string) {
	var failure *sessions.GenericOpenAPIError
	if !errors.As(err, &failure) {
		panic(fmt.Sprintf("not a problem: %v", err))
	}
	document := failure.Model().(sessions.Problem)
	equal([]interface{}{document.Status, document.Type}, []interface{}{status, kind})
}

func succeeds(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(actual, expected interface{}) {
	if !reflect.DeepEqual(actual, expected) {
		panic(fmt.Sprintf("\n  %#v\nis not\n  %#v", actual, expected))
	}
}
