"""What the tea shop says of its API is so: schemathesis finds nothing that is otherwise."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import schemathesis
from schemathesis.engine import Status, events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from examples.shop.app import create_app
from examples.shop.feed import Feed
from examples.shop.models import News
from examples.shop.needs import feed_of
from examples.shop.settings import Settings
from lamella import Lamella
from lamella.testclient import TestClient

# The same requests in each run, from all phases. Every check is on, and those below have to be.
CONFIG = {
    "seed": 1,
    "generation": {"max-examples": 30, "deterministic": True},
    "cache": {"enabled": False},
    "auth": {"openapi": {"HTTPBearer": {"bearer": "secret"}}},
}
CHECKS = {
    "allow_header_conformance",
    "content_type_conformance",
    "ensure_resource_availability",
    "ignored_auth",
    "missing_required_header",
    "negative_data_rejection",
    "not_a_server_error",
    "object_level_authorization",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
}


class ShortFeed(Feed[News]):
    """A feed that tells of one order and closes, since nobody waits for an end that never comes."""

    @contextmanager
    def subscribe(self) -> Iterator[Any]:
        with super().subscribe() as queue:
            queue.put_nowait(News("00000000-0000-4000-8000-000000000000", "confirmed"))
            queue.put_nowait(None)
            yield queue


@pytest.fixture
def app(tmp_path: Path) -> Lamella:
    """A shop of its own for each test, without a rate limit."""
    settings = Settings(
        tmp_path / "shop.db", tmp_path / "photos", token="secret", secret="sign", rate=0
    )
    app = create_app(settings)
    app.dependency_overrides = {feed_of: ShortFeed}
    return app


class Run:
    """What schemathesis did with an application, and what it found."""

    def __init__(self, app: Lamella) -> None:
        self.findings: dict[str, str] = {}
        self.checks: set[str] = set()
        self.phases: set[str] = set()
        self.statuses: Counter[tuple[str, int]] = Counter()
        config = schemathesis.Config.from_dict(CONFIG)
        try:
            schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
            for event in from_schema(schema).execute():
                self.note(event)
        finally:
            shutdown_lifespans()

    def note(self, event: Any) -> None:
        if isinstance(event, events.NonFatalError):
            self.findings[event.label] = repr(event.value)
        elif isinstance(event, events.FatalError):
            self.findings["run"] = repr(event.exception)
        elif isinstance(event, events.PhaseFinished):
            self.phases.add(f"{event.phase.name.value}: {event.status.value}")
        elif isinstance(event, events.ScenarioFinished):
            for case_id, checks in event.recorder.checks.items():
                case = event.recorder.cases[case_id].value
                response = event.recorder.interactions[case_id].response
                assert response is not None
                self.statuses[case.operation.label, response.status_code] += 1
                for check in checks:
                    self.checks.add(check.name)
                    if check.status == Status.FAILURE:
                        failure = check.failure_info
                        self.findings.setdefault(
                            f"{case.operation.label}: {check.name}",
                            f"{failure.failure.message}\n{failure.code_sample}",
                        )


@pytest.mark.timeout(120)  # some thousand checks
def test_schemathesis_finds_nothing(
    app: Lamella, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that fit and requests that do not, one by one and in chains of them."""
    monkeypatch.chdir(tmp_path)  # where hypothesis keeps what it learns
    run = Run(app)
    assert {} == run.findings, "\n\n".join(map(": ".join, run.findings.items()))
    assert run.checks >= CHECKS
    assert {f"{name}: success" for name in ("examples", "coverage", "fuzzing", "stateful")} <= (
        {phase.lower() for phase in run.phases}
    )
    # It came as far as that: not everything was refused, and not everything taken.
    for seen in [
        ("POST /api/orders", 201),
        ("POST /api/orders", 401),
        ("POST /api/orders", 409),
        ("POST /api/orders", 415),
        ("POST /api/orders", 422),
        ("PUT /api/products/{product_id}/photo", 200),
        ("PUT /api/products/{product_id}/photo", 401),
        ("PUT /api/products/{product_id}/photo", 404),
        ("GET /api/products/{product_id}", 200),
        ("GET /api/products/{product_id}", 404),
        ("GET /api/orders/{order_id}", 200),
        ("GET /api/products", 422),
        ("GET /events", 200),
        ("GET /healthz", 405),
    ]:
        assert run.statuses[seen] > 0, f"{seen} never happened: {run.statuses}"


@pytest.mark.timeout(120)
def test_schemathesis_finds_what_the_document_gets_wrong(
    app: Lamella, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above must be able to fail."""
    monkeypatch.chdir(tmp_path)
    document = app.openapi()
    del document["paths"]["/api/products/{product_id}"]["get"]["responses"]["404"]
    document["components"]["schemas"]["Health"]["properties"]["listening"]["minimum"] = 1
    assert {
        "GET /api/products/{product_id}: status_code_conformance",
        "GET /healthz: response_schema_conformance",
    } == Run(app).findings.keys()


def test_document_is_valid_and_says_who_may_write(app: Lamella) -> None:
    """Reading is for everybody, writing asks for the token; the pages are not in it."""
    document = app.openapi()
    openapi_spec_validator.validate(document)
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    guarded = {name for name, operation in operations.items() if "security" in operation}
    assert {"POST /api/orders", "PUT /api/products/{product_id}/photo"} == guarded
    assert guarded == {name for name, one in operations.items() if "401" in one["responses"]}
    assert {"/events", "/healthz"} == {path for path in document["paths"] if path[:5] != "/api/"}
    known = {tag["name"] for tag in document["tags"]}
    assert known == {tag for operation in operations.values() for tag in operation["tags"]}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/scalar"])
def test_pages_show_the_document(app: Lamella, path: str) -> None:
    """Below the shop's own layers, whose policy does not take the place of theirs."""
    answer = TestClient(app).get(path)
    assert 200 == answer.status_code
    assert "The tea shop" in answer.text
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
