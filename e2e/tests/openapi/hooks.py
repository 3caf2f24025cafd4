"""What schemathesis takes for a failure and is none, as OpenAPI has no words for it."""

import schemathesis


@schemathesis.hook
def filter_failure(context, failure, case, response):
    query, body = "choice" in (case.query or {}), "Content-Type" in response.request.headers

    # The one vote that fails on purpose, and says so. Every other 500 is a failure.
    if "not_a_server_error" in failure.checks:
        sent = f"{response.request.url} {response.request.body}"
        on_purpose = response.status_code == 500 and "on purpose" in response.text
        return not (on_purpose and "doughnut" in sent)

    # A key that was made up before, then with another emoji.
    if "positive_data_acceptance" in failure.checks and response.status_code == 422:
        return "Idempotency-Key" not in response.request.headers

    # A `POST` has its choice in the query or in the body: it has to be in one, and what is in the other may count
    # for nothing.
    if case.method == "POST":
        if "positive_data_acceptance" in failure.checks:
            return query or body
        if "negative_data_rejection" in failure.checks:
            return not (query and body)

    return True
