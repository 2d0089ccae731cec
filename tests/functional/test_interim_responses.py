"""1xx responses are passed on and stay apart from the final one."""

import threading

import pytest

from support.origin import READ_BODY, respond


def test_103_is_passed_on_with_its_fields(client, origin):
    origin.on("/", respond(103, "Link: </style.css>; rel=preload") + respond(200, body=b"hi"))
    answer = client.get(origin.url())
    assert [(i.status, i["Link"]) for i in answer.interim] == [(103, "</style.css>; rel=preload")]
    assert (answer.status, answer.body) == (200, b"hi")
    assert "Link" not in answer.fields


def test_103_comes_before_the_final_response_is_there(client, origin):
    go = threading.Event()
    origin.on("/", [respond(103, "Link: </x>"), go, respond(204)])
    client.request("GET", origin.url())
    assert client.message().status == 103
    go.set()
    assert client.message().status == 204


def test_several_of_them_in_order(client, origin):
    origin.on("/", respond(102) + respond(103, "Link: </a>") + respond(103, "Link: </b>")
              + respond(204))
    answer = client.get(origin.url())
    assert [i.status for i in answer.interim] == [102, 103, 103]
    assert answer.status == 204


def test_interim_fields_are_never_stored(client, origin):
    origin.on("/", respond(103, "Link: </x>", "X-Interim: 1")
              + respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url())
    answer = client.get(origin.url())
    assert answer.hit
    assert not answer.interim
    assert "Link" not in answer.fields and "X-Interim" not in answer.fields


def test_hop_by_hop_fields_are_dropped_from_them(client, origin):
    origin.on("/", respond(103, "Link: </x>", "Connection: X-Drop", "X-Drop: 1") + respond(204))
    answer = client.get(origin.url())
    assert "X-Drop" not in answer.interim[0].fields and "Connection" not in answer.interim[0].fields


def test_100_that_nobody_asked_for_is_dropped(client, origin):
    origin.on("/", respond(100) + respond(204))
    answer = client.get(origin.url())
    assert answer.status == 204
    assert not answer.interim


def test_too_many_are_an_error(client, origin):
    origin.on("/", respond(103) * 200 + respond(204, "Cache-Control: max-age=60"))
    answer = client.get(origin.url())
    assert answer.status == 502
    assert len(answer.interim) <= 100
    origin.wait_all_closed()


def test_101_is_an_error(client, origin):
    origin.on("/", respond(101, "Connection: upgrade", "Upgrade: x"))
    assert client.get(origin.url(), "Connection: Upgrade", "Upgrade: x").status == 502
    origin.wait_all_closed()


def test_100_continue_lets_the_body_come(client, origin):
    origin.on("/", [respond(100, date=False), READ_BODY, respond(200, body=b"done")], early=True)
    client.request("POST", origin.url(), "Expect: 100-continue", "Content-Length: 5")
    assert client.message().status == 100
    assert origin.heads[0].fields.get("Expect", "").lower() == "100-continue"
    client.send(b"hello")
    answer = client.message()
    assert answer.body == b"done"
    assert origin.last.body == b"hello"
    assert client.get(origin.url("/next")).status == 204


@pytest.mark.parametrize("body", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_final_answer_instead_of_100(client, origin, body):
    """The client need not send the body then; what it sends next is no request, or a clean one."""
    origin.on("/", respond(417, "Connection: close"), early=True)
    client.request("POST", origin.url(), "Expect: 100-continue", body)
    answer = client.response()
    assert answer.status == 417
    assert not answer.interim


def test_body_may_come_without_waiting_for_100(client, origin):
    client.request("POST", origin.url(), "Expect: 100-continue", body=b"hello")
    answer = client.response()
    assert answer.status == 204
    assert origin.last.body == b"hello"
