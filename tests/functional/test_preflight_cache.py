"""CORS preflights: passed through by default, answered from the store when the operator wants it."""

import pytest

from support.dates import dated
from support.origin import respond
from support.requirement import requirement

PREFLIGHT = {"Origin": "http://a.example", "Access-Control-Request-Method": "PUT",
             "Access-Control-Request-Headers": "x-one,x-two"}
ALLOW = ["Access-Control-Allow-Origin: *", "Access-Control-Max-Age: 600"]


def fields(**changes):
    """The fields of a preflight, with some of them changed or, by None, left out."""
    wanted = {**PREFLIGHT, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return [f"{name}: {value}" for name, value in wanted.items() if value is not None]


@pytest.fixture(scope="module")
def caching(worker_count, tmp_path_factory):
    from support.proxy import Proxy
    proxy = Proxy(tmp_path_factory.mktemp("proxy"), "preflight_cache=on")
    yield proxy
    proxy.stop()
    proxy.remove()


@pytest.fixture
def asks(caching, origin):
    client = caching.connect()
    origin.on("/", respond(204, *ALLOW))
    yield lambda *lines, method="OPTIONS", path="/": client.ask(method, origin.url(path), *(lines or fields()))
    client.close()


@requirement("RFC 9110 9.3.7 MUST NOT")
def test_by_default_each_goes_to_the_origin(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60", *ALLOW))
    for n in (1, 2):
        answer = client.ask("OPTIONS", origin.url(), *fields())
        assert (answer.status, answer.hit, answer.fwd, answer.cache_status["detail"]) == \
            (204, False, "method", "method")
        assert len(origin.requests) == n


def test_the_same_preflight_is_answered_from_the_store(asks, origin):
    first = asks()
    assert (first.fwd, first.stored) == ("uri-miss", True)
    answer = asks()
    assert (answer.status, answer.hit, answer["Access-Control-Allow-Origin"]) == (204, True, "*")
    assert 590 < answer.cache_status["ttl"] <= 600
    assert len(origin.requests) == 1


@pytest.mark.parametrize("changes", [
    {"Origin": "http://b.example"}, {"Origin": "HTTP://a.example"}, {"Access-Control-Request-Method": "DELETE"},
    {"Access-Control-Request-Method": "put"}, {"Access-Control-Request-Headers": "x-one"},
    {"Access-Control-Request-Headers": None}, {"Access-Control-Request-Private-Network": "true"},
], ids=str)
def test_another_one_is_not(asks, origin, changes):
    asks()
    assert asks(*fields(**changes)).fwd == "vary-miss"
    assert asks(*fields(**changes)).hit  # it has a record of its own
    assert asks().hit
    assert len(origin.requests) == 2


@pytest.mark.parametrize("headers", ["x-two,x-one", "X-One, X-TWO", "x-two ,x-one,x-two"])
def test_requested_headers_are_a_set(asks, headers):
    asks()
    assert asks(*fields(Access_Control_Request_Headers=headers)).hit


def test_other_fields_do_not_matter(asks):
    asks()
    assert asks(*fields(User_Agent="x", Accept="y")).hit


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_it_answers_no_other_method(asks, method):
    asks()
    assert not asks(*fields(), method=method).hit


@pytest.mark.parametrize("changes", [{"Origin": None}, {"Access-Control-Request-Method": None}, {"Cookie": "a=b"},
                                     {"Authorization": "Basic QTpC"}], ids=str)
def test_what_is_no_preflight_is_not_stored_and_not_answered(asks, changes):
    asks()
    for _ in range(2):
        answer = asks(*fields(**changes))
        assert (answer.hit, answer.stored) == (False, False)


@pytest.mark.parametrize("lines", [[], ["Access-Control-Max-Age: 0"], ["Access-Control-Max-Age: -1"],
                                   ["Access-Control-Max-Age: x"], ["Access-Control-Max-Age: 60", "Cache-Control: no-store"],
                                   ["Access-Control-Max-Age: 60", "Cache-Control: private"],
                                   ["Access-Control-Max-Age: 60", "Cache-Control: max-age=0"],
                                   ["Access-Control-Max-Age: 60", "Vary: *"],
                                   ["Access-Control-Max-Age: 60", "Set-Cookie: a=b"]], ids=str)
def test_answers_that_are_not_kept(asks, origin, lines):
    origin.on("/", respond(204, *lines))
    assert not asks().stored
    assert not asks().hit


@pytest.mark.parametrize("lines, ttl", [
    (["Cache-Control: max-age=60"], 60), (["Cache-Control: max-age=60", "Access-Control-Max-Age: 600"], 60),
    (["Expires: {+120}", "Access-Control-Max-Age: 600"], 120),
    (["Access-Control-Max-Age: 99999"], 7200), (["Cache-Control: s-maxage=99999"], 7200)], ids=str)
def test_how_long_it_is_kept(asks, origin, lines, ttl):
    origin.on("/", respond(204, *map(dated, lines)))
    asks()
    assert ttl - 3 <= asks().cache_status["ttl"] <= ttl


def test_200_is_not_kept(asks, origin):
    origin.on("/", respond(200, *ALLOW))
    assert not asks().stored
    assert not asks().hit


def test_vary_counts_besides(asks, origin):
    origin.on("/", respond(204, *ALLOW, "Vary: X-A"))
    asks(*fields(X_A="1"))
    assert asks(*fields(X_A="1")).hit
    assert asks(*fields(X_A="2")).fwd == "vary-miss"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_it_is_invalidated_with_its_uri(asks, caching, origin, method):
    asks()
    origin.on("/", respond(204, *ALLOW))
    asks(*fields(), method=method)
    assert not asks().hit


def test_it_is_never_validated(asks, origin):
    origin.on("/", respond(204, "Access-Control-Max-Age: 60", "Age: 100", 'ETag: "a"'))
    asks()
    asks()
    assert "If-None-Match" not in origin.last.fields


def test_it_never_answers_stale(asks, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=60, stale-while-revalidate=600, stale-if-error=600", "Age: 100"),
              respond(503))
    asks()
    assert asks(*fields(Cache_Control="max-stale")).status == 503


def test_options_for_the_whole_server_is_not_cached(caching, origin):
    with caching.connect() as client:
        origin.on("*", respond(204, *ALLOW))
        for _ in range(2):
            assert not client.ask("OPTIONS", f"http://{origin.authority}", *fields()).hit


@pytest.mark.parametrize("vary", [[], ["Vary: Origin, Access-Control-Request-Headers"]], ids=["no vary", "vary"])
@pytest.mark.parametrize("nominated", ["Access-Control-Request-Headers", "Access-Control-Request-Method",
                                       "Access-Control-Request-Private-Network", '"x, Access-Control-Request-Headers'])
@requirement("RFC 9110 7.6.1 MUST")
def test_a_field_that_is_not_sent_on_is_in_no_key(asks, origin, nominated, vary):
    """Otherwise the answer to the one request would be kept for the other."""
    lines = fields(Access_Control_Request_Private_Network="true")
    origin.on("/n", respond(204, *ALLOW, *vary, "X-For: less"), respond(204, *ALLOW, *vary, "X-For: all"))
    asks(*lines, f"Connection: {nominated}", path="/n")
    assert nominated.split()[-1] not in origin.last.fields
    answer = asks(*lines, path="/n")
    assert (answer.hit, answer["X-For"]) == (False, "all")
    assert asks(*lines, path="/n").hit
