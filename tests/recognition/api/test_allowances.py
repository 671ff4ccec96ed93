from __future__ import annotations

import uuid

import pytest

from recognition.api import make_api
from recognition.api.openapi.allowances import SPARE_IMAGES, Allowances
from web.access.body_limit import SMALL_BYTES, Allowance

IMAGE_BYTES = 1_000_000
SESSION = f"/api/v1/sessions/{uuid.UUID(int=1)}/"
MULTIPART, ANY_IMAGE = "multipart/form-data", "image/*"


@pytest.fixture(scope="module")
def allowances() -> Allowances:
    return Allowances(make_api().get_openapi_schema(path_prefix="/api/"), IMAGE_BYTES)


@pytest.mark.parametrize(
    ("path", "images", "media"),
    [
        (SESSION + "frames/", 1, (MULTIPART, ANY_IMAGE)),
        ("/api/v1/faces/detect/", 1, (MULTIPART, ANY_IMAGE)),
        ("/api/v1/faces/liveness/", 1, (MULTIPART, ANY_IMAGE)),
        ("/api/v1/faces/verify/", 1, (MULTIPART,)),
        ("/api/v1/faces/search/", 1, (MULTIPART,)),
        ("/api/v1/faces/compare/", 2, (MULTIPART,)),
        ("/api/v1/subjects/alice/templates/", 10, (MULTIPART,)),
        ("/api/v1/subjects/alice/feedback/", 1, (MULTIPART, "application/json")),
    ],
)
def test_routes_that_take_pictures_take_as_many_as_they_say(
    allowances: Allowances, path: str, images: int, media: tuple[str, ...]
) -> None:
    expected = Allowance((images + SPARE_IMAGES) * IMAGE_BYTES, media, needs_credentials=True)
    assert allowances("POST", path) == expected


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/sessions/"), ("PATCH", "/api/v1/subjects/alice/")])
def test_routes_that_take_json_take_little_of_it(allowances: Allowances, method: str, path: str) -> None:
    assert allowances(method, path) == Allowance(SMALL_BYTES, ("application/json",), needs_credentials=True)


def test_the_page_begins_its_sessions_without_credentials(allowances: Allowances) -> None:
    assert allowances("POST", "/demo/sessions/") == Allowance(SMALL_BYTES, ("application/json",))


@pytest.mark.parametrize("path", ["/api/v1/sessions/", SESSION + "frames/", "/", "/demo/sessions/"])
def test_what_is_only_read_takes_nothing(allowances: Allowances, path: str) -> None:
    assert allowances("GET", path) == allowances("HEAD", path) == Allowance(0)


@pytest.mark.parametrize("method", ["PUT", "TRACE", "SEARCH"])
def test_a_method_that_a_route_does_not_have_takes_little(allowances: Allowances, method: str) -> None:
    assert allowances(method, "/api/v1/faces/detect/") == Allowance()


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/sessions", "/api/v1/sessions/x/frames/", "", "//", "/\x00"])
def test_where_there_is_no_route_there_is_no_allowance(allowances: Allowances, path: str) -> None:
    assert allowances("POST", path) is None


def test_no_other_route_takes_more_than_little(allowances: Allowances) -> None:
    """Every route with pictures is in the list above."""
    large = [key for key, allowance in allowances._by_route.items() if allowance.max_bytes > SMALL_BYTES]
    assert len(large) == 8
