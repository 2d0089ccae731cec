"""Where we read a message and another parser does not, or otherwise: each kind with its section and its reason.

A row holds for one parser ("any" for all), one sort of difference (compare.py), and the messages that its condition
finds; `why` is found in the reason that the other gives when it refuses.  What no row holds for is a fault, here or there.
"""

import re
from dataclasses import dataclass
from typing import Callable


@dataclass
class Look:
    """A message and the two readings."""
    kind: str
    message: bytes
    ours: dict
    theirs: dict

    @property
    def is_request(self):
        return self.kind == "request"

    @property
    def whole(self):
        """What we take for the message."""
        return self.message[:self.ours["end"]]

    @property
    def head(self):
        return re.match(rb"(?:\r\n)*.*?\n\r?\n", self.message, re.S)[0]

    @property
    def after(self):
        """Chunks, where these are the content."""
        return self.whole[len(self.head):]

    def has(self, pattern):
        return re.search(pattern, self.head, re.I | re.M) is not None

    def has_after(self, pattern):
        return re.search(pattern, self.after, re.I | re.M) is not None

    @property
    def ends_at_head(self):
        """Responses that have no content, whatever they announce."""
        return not self.is_request and (self.kind == "response-head" or self.ours["status"] < 200 or self.ours["status"] in (204, 304))

    @property
    def closes(self):
        return not self.ours["keep"]


@dataclass(frozen=True)
class Row:
    other: str
    what: str
    why: str
    section: str
    reason: str
    when: Callable

    def holds(self, other, what, look):
        return (self.other in ("any", other) and self.what == what and re.search(self.why, str(look.theirs.get("why", ""))) is not None and
                self.when(look))


def mended(look):
    return not look.is_request and look.ours["mended"] and look.closes


def spaced(value):
    """Control bytes as spaces, runs of blanks as one."""
    return re.sub(rb"[\x00-\x20\x7f]+", b" ", value).strip()


def is_mended_form(look):
    return mended(look) and [(name, spaced(value)) for name, value in look.theirs["plain"]] == \
        [(name, spaced(value)) for name, value in look.ours["plain"]]


def high_bytes(look):
    return look.is_request and re.search(rb"^[^ ]* [^ ]*[\x80-\xff]", look.head.lstrip(b"\r\n")) is not None


def padded_by_tab(look):
    return look.has(rb"^(Content-Length|Transfer-Encoding):.*\t *\r$")


def both_lengths(look):
    return not look.is_request and look.closes and look.has(rb"^Content-Length:") and look.has(rb"^Transfer-Encoding:")


def is_interim(look):
    return look.ends_at_head and look.ours["status"] < 200


def ends_at_head(look):
    return look.ends_at_head


CHUNK = rb"(?:^|\n)[0-9A-F]+"
CODING = "[Tt]ransfer.[Ee]ncoding|TRANSFER_ENCODING|CONTENT_LENGTH|Content.Length"
HIGH = "bytes from 0x80 on in path and query, which clients send, are passed on as they are"
NO_CONTENT = "1xx, 204, 304 and answers to HEAD end with their head, whatever it announces"
ROWS = [
    # of requests
    Row("h11", "refused", "no_request_line", "9112 2.2", "empty lines before a request are passed over, up to four of them",
        lambda look: look.is_request and look.message.startswith(b"\r\n")),
    Row("h11", "refused", "illegal_request_line", "9112 3.2", HIGH, high_bytes),
    Row("node", "refused", "HPE_INVALID_URL", "9112 3.2", HIGH, high_bytes),
    Row("node", "refused", "HPE_INVALID_METHOD|Invalid_method|Expected_HTTP", "9110 9.1", "any token is a method; it knows a list",
        lambda look: look.is_request),
    # of both
    Row("node", "refused", "HPE_INVALID_VERSION", "9110 2.5", "a higher minor version is read as the highest that is known",
        lambda look: look.has(rb"HTTP/1\.[2-9]")),
    Row("node", "refused", "HPE_INVALID_CONTENT_LENGTH|HPE_INVALID_TRANSFER_ENCODING", "9112 5",
        "white space behind a value is no part of it: it expects no tab there", padded_by_tab),
    *[Row("node", what, "", "9112 5", "white space behind a value is no part of it: it takes `chunked` and a tab for another coding",
          lambda look: not look.is_request and padded_by_tab(look)) for what in ("end", "close", "body")],
    Row("any", "refused", "", "9112 7.1.1", "white space before an extension of a chunk is allowed (BWS)",
        lambda look: look.has_after(CHUNK + rb"[ \t]+;")),
    Row("node", "refused", "HPE_STRICT|CHUNK_EXT|chunk_ext", "9112 7.1.1", "extensions are dropped, whatever they say, to the end of the line",
        lambda look: look.has_after(CHUNK + rb"[ \t]*;")),
    Row("node", "refused", "CONTENT_LENGTH|TRANSFER_ENCODING", "9112 7.1.2", "trailers are dropped; a framing field among them frames nothing",
        lambda look: look.has_after(rb"\n(Content-Length|Transfer-Encoding):")),
    Row("h11", "refused", "illegal_chunk_header", "9112 7.1", "leading zeros of a chunk size say nothing, up to a bound; it takes 20 digits",
        lambda look: look.has_after(rb"(?:^|\n)0{5}[0-9A-F]{16}")),
    # of responses
    Row("any", "refused", "", "9112 2.2, 5.1, 5.2, 6.3",
        "a response head that can be read in one way only is mended, its connection closed, nothing stored", mended),
    Row("h11", "plain", "", "9110 5.5", "control bytes in values are passed on as spaces, the connection closed, nothing stored",
        is_mended_form),
    Row("any", "refused", CODING, "9112 6.3", NO_CONTENT, ends_at_head),
    Row("node", "end", "", "9112 6.3", NO_CONTENT, ends_at_head),
    Row("node", "unfinished", "", "9112 6.3", NO_CONTENT, ends_at_head),
    Row("node", "refused", "HPE", "9112 6.3", NO_CONTENT + ": it reads content of a 1xx", is_interim),
    Row("node", "keep", "", "9112 6.3", "an answer to HEAD keeps its connection: it says so of the head before it learns of HEAD",
        lambda look: look.kind == "response-head"),
    Row("node", "refused", "HPE_INVALID_CONTENT_LENGTH|HPE_INVALID_TRANSFER_ENCODING", "9112 6.3",
        "of a response with both, Transfer-Encoding holds, and the connection is closed", both_lengths),
    Row("h11", "refused", "SWITCH_UPGRADE", "9110 7.8", "a 101 is read as a head; who did not ask for it refuses it later",
        lambda look: look.ours["status"] == 101),
    Row("node", "refused", "HPE_INVALID_CHUNK_SIZE", "9112 7.1", "origins pad chunk sizes with blanks: read, and the connection closed",
        lambda look: not look.is_request and look.closes and look.has_after(CHUNK + rb"[ \t]+\r\n")),
]


def explain(other, what, look):
    """The first row that holds, or None."""
    return next((row for row in ROWS if row.holds(other, what, look)), None)
