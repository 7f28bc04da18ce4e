"""What lamella has and Starlette has not."""

from typing import NamedTuple


class Addition(NamedTuple):
    """A name, what it is for, as the page says it, and the tests that use it."""

    name: str
    purpose: str
    checked_by: str


ADDITIONS = (
    Addition(
        "`Lamella`",
        "`Starlette` with [typed endpoints](typed-endpoints.md), which an application of plain"
        " routes costs nothing; `Starlette` alone is there, too",
        "test_applications.py::test_lamella_is_starlette_with_more",
    ),
    Addition(
        "`Query`, `Body`, `Depends` and the like; `APIRouter`; the modules `params`, `encoders`,"
        " `exception_handlers`, `openapi`, `security`, `sse`, `telemetry`",
        "the names of FastAPI 0.165: [moving from FastAPI](moving-from-fastapi.md)",
        "parity/test_fastapi.py::test_the_page_on_moving_is_right",
    ),
    Addition(
        "`Controller`, `lamella.controllers`",
        "[endpoints as methods](routers-and-controllers.md#controllers)",
        "test_controllers.py::test_methods_are_endpoints",
    ),
    Addition(
        "`request.provide()`, `provides` of a layer",
        "[what a layer gives to dependencies](dependencies.md#what-a-layer-gives)",
        "injection/test_provides.py::test_layer_of_the_application_gives",
    ),
    Addition(
        "`app.override()`, `app.resolve()`",
        "[dependencies in tests](dependencies.md#in-tests) and"
        " [outside of a request](dependencies.md#outside-of-a-request)",
        "injection/test_overrides.py::test_block_overrides_and_ends "
        "injection/test_shared.py::test_resolve_gives_the_value_and_runs_the_exits",
    ),
    Addition(
        "`app.explain()`",
        "[how the stack is entered](middleware.md#explain)",
        "test_applications.py::test_explain_prints_the_stack_outermost_first",
    ),
    Addition(
        "`compose`, a plain function in `middleware=`, `app.middleware`",
        "[more forms of a layer](middleware.md#the-forms)",
        "middleware/test_composition.py::test_composed_layers_keep_their_order "
        "test_routing.py::test_layers_in_every_form_and_place "
        "test_applications.py::test_middleware_decorates_in_each_form",
    ),
    Addition(
        "`on_disconnect=`",
        "[what happens to an endpoint whose client leaves](requests.md#on_disconnect)",
        "failures/test_c_disconnect.py::test_client_that_leaves_cancels_the_endpoint",
    ),
    Addition(
        "`error_responses=`, `response.exception`",
        "[a 500 that layers see](errors.md#unhandled-errors)",
        "failures/test_f_errors.py::test_500_passes_every_layer_when_errors_are_answered_inside",
    ),
    Addition(
        "`request.disconnected()`",
        "[wait until the client leaves](requests.md#a-client-that-leaves)",
        "failures/test_c_disconnect.py::test_disconnected_waits_for_the_client_to_leave",
    ),
    Addition(
        "`request.parts()`, `formparsers.Part`",
        "[uploads part by part](requests.md#part-by-part)",
        "test_requests.py::test_parts_are_read_without_a_form",
    ),
    Addition(
        "`request.after_response()`",
        "[how a request ended](requests.md#after_response)",
        "failures/test_e_background.py::test_after_response_tells_how_it_went",
    ),
    Addition(
        "`Mount(lifespan=)`, `Host(lifespan=)`",
        "[whether a mounted application is started](websockets.md#the-lifespan)",
        "test_lifespan.py::test_mount_may_keep_its_lifespan_to_itself",
    ),
    Addition(
        "`AccessLogMiddleware`, `LintMiddleware`",
        "[two more layers](middleware.md#what-comes-with-lamella)",
        "middleware/test_access_log.py::test_each_request_is_one_record_of_what_was_sent "
        "middleware/test_lint.py::test_wrong_response_is_told",
    ),
    Addition(
        "`OpenTelemetryMiddleware(websockets=)`, `WSGIMiddleware(workers=)`",
        "[tracing](middleware.md#tracing), [WSGI](middleware.md#wsgi-applications)",
        "middleware/test_opentelemetry.py::test_websocket_has_a_span_where_it_is_asked_for "
        "middleware/test_wsgi.py::test_requests_beyond_the_workers_wait",
    ),
    Addition(
        "`max_text_size` of the two parsers of forms",
        "[a limit for all fields together](requests.md#forms)",
        "test_formparsers.py::test_fields_together_are_limited",
    ),
    Addition(
        "`AsyncTestClient`; `TestClient`'s `receive_text(timeout=)`",
        "[tests](testing.md#in-the-event-loop-of-the-test)",
        "test_async_testclient.py::test_the_app_runs_in_the_loop_of_the_test "
        "test_testclient_websocket.py::test_a_test_may_limit_the_time_it_waits",
    ),
    Addition(
        "`install_as_starlette()`, `python -m lamella --as-starlette`",
        "[running software made for Starlette](running-software-made-for-starlette.md)",
        "test_as_starlette.py::test_each_module_is_lamellas_own_and_stays_as_it_is "
        "cli/test_as_starlette.py::test_a_script_gets_its_arguments_and_its_folder",
    ),
    Addition(
        "the classes of `lamella.exceptions` that end in `Error`",
        "[errors](errors.md#errors-of-lamellas-own)",
        "test_exceptions.py::test_each_error_is_caught_as_its_base",
    ),
)
