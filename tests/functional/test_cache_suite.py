"""What anyone may ask of a shared cache, case by case: a table of a stored 204 and the request after it.

Each case is a title with the requirement it is about, the lines of the first request and of its response,
and, after `later` seconds on the wall of the origin's clock (told by Age and Date), the lines of the
second request, with what must become of it:

    HIT    answered from the store; the origin is not asked
    304    so, and with 304
    MISS   the origin is asked, without a condition of the cache's own
    ETAG, DATE, BOTH   the origin is asked with If-None-Match, If-Modified-Since of the record, or both
    504    neither

Dates are written as in support/dates.py.
"""

import pytest

from support.dates import dated
from support.origin import respond

HIT, MISS, ETAG, DATE, BOTH = "HIT", "MISS", "ETAG", "DATE", "BOTH"
FRESH = "Cache-Control: max-age=3600"
GONE = "Cache-Control: max-age=3600", "Age: 7200"  # stale since an hour


def case(requirement, title, response, outcome, second=(), first=(), method="GET", show=(), hide=(), date=True):
    """`show` are lines that the second answer must have, `hide` names that it must not have."""
    lines = [response] if isinstance(response, str) else list(response)
    return pytest.param(lines, outcome, list(second), list(first), method, list(show), list(hide), date,
                        id=f"{requirement}: {title}", marks=pytest.mark.requirement(requirement))


FRESHNESS = [
    case("RFC 9111 4.2 MUST", "nothing said, nothing reused", [], MISS),
    case("RFC 9111 4.2 MUST", "max-age", FRESH, HIT),
    case("RFC 9111 4.2 MUST", "max-age that is over", GONE, MISS),
    case("RFC 9111 4.2 MUST", "max-age=0", "Cache-Control: max-age=0", MISS),
    case("RFC 9111 1.2.2 MUST", "2^31 - 1", "Cache-Control: max-age=2147483647", HIT),
    case("RFC 9111 1.2.2 MUST", "2^31", "Cache-Control: max-age=2147483648", HIT),
    case("RFC 9111 1.2.2 MUST", "2^31 + 1", "Cache-Control: max-age=2147483649", HIT),
    case("RFC 9111 1.2.2 MUST", "far more", "Cache-Control: max-age=99999999999", HIT),
    case("RFC 9111 1.2.2 MUST", "more than any word", f"Cache-Control: max-age={'9' * 60}", HIT),
    case("RFC 9111 4.2.3 MUST", "Date of two hours ago", [FRESH, "Date: {-7200}"], MISS, date=False),
    case("RFC 9111 4.2.3 MUST", "Date of two hours ahead", [FRESH, "Date: {+7200}"], HIT, date=False),
    case("RFC 9111 5.3 MUST max-age", "max-age and a past Expires", [FRESH, "Expires: {-7200}"], HIT),
    case("RFC 9111 5.3 MUST max-age", "max-age and an Expires of 0", [FRESH, "Expires: 0"], HIT),
    case("RFC 9111 5.3 MUST max-age", "max-age=0 and a future Expires", ["Cache-Control: max-age=0", "Expires: {+3600}"], MISS),
    case("RFC 9111 5.2.3 MUST", "an unknown directive", "Cache-Control: foobar, max-age=3600", HIT),
    case("RFC 9111 5.2.3 MUST", "one with an argument", 'Cache-Control: foo="bar, no-store", max-age=3600', HIT),
    case("RFC 9111 5.2 MUST", "another case", "Cache-Control: MaX-aGe=3600", HIT),
    case("RFC 9111 4.2.1 SHOULD", "a negative number", "Cache-Control: max-age=-3600", MISS),
    case("RFC 9111 5.2.2.10 MUST", "s-maxage", "Cache-Control: s-maxage=3600", HIT),
    case("RFC 9111 5.2.2.10 MUST", "a shorter s-maxage", ["Cache-Control: max-age=3600, s-maxage=1", "Age: 5"], MISS),
    case("RFC 9111 5.2.2.10 MUST", "in front", ["Cache-Control: s-maxage=1, max-age=3600", "Age: 5"], MISS),
    case("RFC 9111 5.2.2.10 MUST", "on a line of its own", [FRESH, "Cache-Control: s-maxage=1", "Age: 5"], MISS),
    case("RFC 9111 5.2.2.10 MUST", "a longer s-maxage", ["Cache-Control: max-age=1, s-maxage=3600", "Age: 5"], HIT),
    case("RFC 9111 5.2.2.10 MUST", "over max-age=0 and a past Expires",
         ["Expires: {-10}", "Cache-Control: max-age=0, s-maxage=3600"], HIT),
    case("RFC 9111 4.2.1 MUST", "a future Expires", "Expires: {+3600}", HIT),
    case("RFC 9111 4.2.1 MUST", "a past Expires", "Expires: {-3600}", MISS),
    case("RFC 9111 4.2.1 MUST", "an Expires of now", "Expires: {0}", MISS),
    case("RFC 9111 4.2.1 MUST", "an Expires before Date, both ahead", ["Expires: {+300}", "Date: {+400}"], MISS, date=False),
    case("RFC 9111 5.3 MUST", "Expires: 0", "Expires: 0", MISS),
    case("RFC 9111 4.2.1 MUST", "Expires beside a Date that is none", ["Date: foo", "Expires: {+60}"], HIT, date=False),
    case("RFC 9111 4.2.3 MUST", "Age over what Expires gives, slow Date",
         ["Date: {-10}", "Expires: {+10}", "Age: 25"], MISS, date=False),
    case("RFC 9111 4.2.3 MUST", "Age over what Expires gives, fast Date",
         ["Date: {+10}", "Expires: {+20}", "Age: 15"], MISS, date=False),
]

CACHE_CONTROL = [
    case("RFC 9111 4.2.1 SHOULD", "two values, the smaller last", ["Cache-Control: max-age=1800, max-age=1", "Age: 5"], MISS),
    case("RFC 9111 4.2.1 SHOULD", "the smaller first", ["Cache-Control: max-age=1, max-age=1800", "Age: 5"], MISS),
    case("RFC 9111 4.2.1 SHOULD", "on two lines", ["Cache-Control: max-age=1800", "Cache-Control: max-age=1", "Age: 5"], MISS),
    case("RFC 9111 4.2.1 SHOULD", "the other way", ["Cache-Control: max-age=1", "Cache-Control: max-age=1800", "Age: 5"], MISS),
    case("RFC 9111 5.2 MUST", "a quoted argument", 'Cache-Control: max-age="3600"', HIT),
    case("RFC 9111 5.2 MUST", "in another's quotes, before", ['Cache-Control: extension="max-age=3600", max-age=1', "Age: 5"], MISS),
    case("RFC 9111 5.2 MUST", "in another's quotes, behind", ['Cache-Control: max-age=1, extension="max-age=3600"', "Age: 5"], MISS),
    case("RFC 9111 5.2 MUST", "quotes in quotes", ['Cache-Control: extension="\\"max-age=3600", max-age="1"', "Age: 5"], MISS),
    case("RFC 9111 5.2 MUST", "no-store in another's quotes", 'Cache-Control: x="no-store", max-age=3600', HIT),
    case("RFC 9111 4.2.1 SHOULD", "space before =", "Cache-Control: max-age =3600", MISS),
    case("RFC 9111 4.2.1 SHOULD", "space behind =", "Cache-Control: max-age= 3600", MISS),
    case("RFC 9111 1.2.2 MAY", "leading zeros", "Cache-Control: max-age=003600", HIT),
    case("RFC 9111 4.2.1 SHOULD", "single quotes", "Cache-Control: max-age='3600'", MISS),
    case("RFC 9111 4.2.1 SHOULD", "a fraction of nothing", "Cache-Control: max-age=3600.0", MISS),
    case("RFC 9111 4.2.1 SHOULD", "a fraction", "Cache-Control: max-age=3600.5", MISS),
    case("RFC 9111 4.2.1 SHOULD", "a letter before", "Cache-Control: max-age=a3600", MISS),
    case("RFC 9111 4.2.1 SHOULD", "a letter behind", "Cache-Control: max-age=3600a", MISS),
    case("RFC 9111 4.2.1 SHOULD", "no number", "Cache-Control: max-age=", MISS),
    case("RFC 9111 4.2.1 SHOULD", "no argument", "Cache-Control: max-age", MISS),
    case("RFC 9111 5.2 MUST", "empty members", "Cache-Control: ,, max-age=3600 ,", HIT),
]

AGE = [
    case("RFC 9111 4.2.3 MUST", "greater than the lifetime", [FRESH, "Age: 7200"], MISS),
    case("RFC 9111 5.1 SHOULD", "no number", [FRESH, "Age: abc"], HIT),
    case("RFC 9111 5.1 SHOULD", "negative", [FRESH, "Age: -7200"], HIT),
    case("RFC 9111 5.1 SHOULD", "a fraction", [FRESH, "Age: 7200.0"], HIT),
    case("RFC 9111 1.2.2 MUST", "Age of 2^31 - 1", [FRESH, "Age: 2147483647"], MISS),
    case("RFC 9111 1.2.2 MUST", "Age of 2^31", [FRESH, "Age: 2147483648"], MISS),
    case("RFC 9111 1.2.2 MUST", "Age of 2^31 + 1", [FRESH, "Age: 2147483649"], MISS),
    case("RFC 9111 1.2.2 MUST", "Age of 2^32 + 1", [FRESH, "Age: 4294967297"], MISS),
    case("RFC 9111 1.2.2 MUST", "Age of 2^64 + 1", [FRESH, "Age: 18446744073709551617"], MISS),
    case("RFC 9111 5.1 SHOULD", "old, 0", [FRESH, "Age: 7200, 0"], MISS),
    case("RFC 9111 5.1 SHOULD", "0, old", [FRESH, "Age: 0, 7200"], HIT),
    case("RFC 9111 5.1 SHOULD", "old and 0 on two lines", [FRESH, "Age: 7200", "Age: 0"], MISS),
    case("RFC 9111 5.1 SHOULD", "0 and old on two lines", [FRESH, "Age: 0", "Age: 7200"], HIT),
    case("RFC 9111 5.1 SHOULD", "0 twice", [FRESH, "Age: 0, 0"], HIT),
    case("RFC 9111 5.1 SHOULD", "0 on two lines", [FRESH, "Age: 0", "Age: 0"], HIT),
    case("RFC 9111 5.1 SHOULD", "not so old on two lines", ["Cache-Control: max-age=10000", "Age: 3600", "Age: 3600"], HIT),
    case("RFC 9111 5.1 SHOULD", "a parameter", [FRESH, "Age: 7200;foo=bar"], HIT),
    case("RFC 9111 4 MUST age", "one line, the current one", [FRESH, "Age: 30"], HIT, show=["Age: 30"]),
    case("RFC 9111 4 MUST age", "with Expires", ["Expires: {+3600}", "Age: 30"], HIT, show=["Age: 30"]),
    case("RFC 9111 4 MUST age", "where there was none", FRESH, HIT, show=["Age: 0"]),
]

EXPIRES = [
    case("RFC 9110 5.6.7 MUST", "the last second of 32 bits", "Expires: Tue, 19 Jan 2038 14:14:08 GMT", HIT),
    case("RFC 9110 5.6.7 MUST", "far in the future", "Expires: Sun, 21 Nov 2286 04:46:39 GMT", HIT),
    case("RFC 9110 5.6.7 MUST", "RFC 850", "Expires: Thursday, 18-Aug-50 02:01:18 GMT", HIT),
    case("RFC 9110 5.6.7 MUST year", "RFC 850, more than 50 years ahead", "Expires: Thursday, 18-Aug-94 02:01:18 GMT", MISS),
    case("RFC 9110 5.6.7 MUST", "asctime", "Expires: Thu Aug  8 02:01:18 2050", HIT),
    case("RFC 9111 4.2 SHOULD case", "weekday in capitals", "Expires: THU, 18 Aug 2050 02:01:18 GMT", HIT),
    case("RFC 9111 4.2 SHOULD case", "month in capitals", "Expires: Thu, 18 AUG 2050 02:01:18 GMT", HIT),
    case("RFC 9111 4.2 SHOULD case", "zone in another case", "Expires: Thu, 18 Aug 2050 02:01:18 gMT", HIT),
    case("RFC 9111 4.2 SHOULD zone", "UTC", "Expires: Thu, 18 Aug 2050 02:01:18 UTC", MISS),
    case("RFC 9111 4.2 SHOULD zone", "AEST", "Expires: Thu, 18 Aug 2050 02:01:18 AEST", MISS),
    case("RFC 9111 4.2 MUST NOT", "an offset", "Expires: Thu, 18 Aug 2050 02:01:18 +1000", MISS),
    case("RFC 9111 5.3 MUST", "two digits of year", "Expires: Thu, 18 Aug 50 02:01:18 GMT", MISS),
    case("RFC 9111 5.3 MUST", "no comma", "Expires: Thu 18 Aug 2050 02:01:18 GMT", MISS),
    case("RFC 9111 5.3 MUST", "too many spaces", "Expires: Thu, 18  Aug  2050 02:01:18 GMT", MISS),
    case("RFC 9111 5.3 MUST", "dashes", "Expires: Thu, 18-Aug-2050 02:01:18 GMT", MISS),
    case("RFC 9111 5.3 MUST", "periods", "Expires: Thu, 18 Aug 2050 02.01.18 GMT", MISS),
    case("RFC 9111 5.3 MUST", "one digit of hour", "Expires: Thu, 18 Aug 2050 2:01:18 GMT", MISS),
    case("RFC 9111 5.3 MUST", "seconds since 1970", "Expires: 4102444800", MISS),
    case("RFC 9111 4.2.1 SHOULD", "two lines", ["Expires: Thu, 18 Aug 2050 02:01:18 GMT",
                                                "Expires: Thu, 18 Aug 2050 02:01:19 GMT"], MISS),
]

DIRECTIVES = [
    case("RFC 9111 5.2.2.7 MUST NOT", "private", "Cache-Control: private, max-age=3600", MISS),
    case("RFC 9111 5.2.2.5 MUST NOT", "no-store", "Cache-Control: no-store", MISS),
    case("RFC 9111 5.2.2.5 MUST NOT", "no-store in another case", "Cache-Control: No-StOrE, max-age=3600", MISS),
    case("RFC 9111 5.2.2.5 MUST NOT", "no-store beside freshness", ["Cache-Control: max-age=10000, no-store", "Expires: {+9}"], MISS),
    case("RFC 9111 5.2.2.4 MUST NOT", "no-cache beside freshness", ["Cache-Control: max-age=10000, no-cache", "Expires: {+9}"], MISS),
    case("RFC 9111 5.2.2.4 MUST NOT", "no-cache in another case", "Cache-Control: max-age=10000, No-CaChE", MISS),
    case("RFC 9111 5.2.2.4 MUST NOT", "no-cache with a tag", ["Cache-Control: no-cache", 'ETag: "abcd"'], ETAG),
    case("RFC 9111 5.2.2.4 MUST NOT", "and with freshness", ["Cache-Control: max-age=10000, no-cache", 'ETag: "abcd"'], ETAG),
    case("RFC 9111 5.2.2.2 MAY", "must-revalidate, fresh", ["Cache-Control: max-age=3600, must-revalidate", 'ETag: "a"'], HIT),
    case("RFC 9111 5.2.2.2 MUST NOT", "must-revalidate, stale", ["Cache-Control: max-age=1, must-revalidate", "Age: 9", 'ETag: "a"'], ETAG),
    case("RFC 9111 5.2.2.3 SHOULD", "must-understand over no-store", "Cache-Control: max-age=3600, no-store, must-understand", HIT),
    case("RFC 8246 2 SHOULD", "immutable, fresh", ["Cache-Control: max-age=3600, immutable", 'ETag: "a"'], HIT),
    case("RFC 8246 2 SHOULD stale", "immutable, stale", ["Cache-Control: max-age=1, immutable", "Age: 9", 'ETag: "a"'], ETAG),
    case("RFC 9111 5.2.2.6 MUST NOT", "no-transform", ["Cache-Control: max-age=3600, no-transform", "X: y"], HIT,
         show=["Cache-Control: max-age=3600, no-transform", "X: y"]),
    case("RFC 9111 5.2 MUST pass", "directives go on as they came", 'Cache-Control: max-age=3600,FOO="b, c" , x', HIT,
         show=['Cache-Control: max-age=3600,FOO="b, c" , x']),
    case("RFC 9111 5.4 MAY", "Pragma in a response", [FRESH, "Pragma: no-cache"], HIT),
    case("RFC 9111 5.4 MAY", "an unknown Pragma in a response", [FRESH, "Pragma: foo"], HIT),
]

REQUESTS = [
    case("RFC 9111 5.2.1.1 MAY", "max-age=0", FRESH, MISS, ["Cache-Control: max-age=0"]),
    case("RFC 9111 5.2.1.1 MAY", "max-age below its age", [FRESH, "Age: 1800"], MISS, ["Cache-Control: max-age=600"]),
    case("RFC 9111 5.2.1.1 MAY", "max-age above its age", [FRESH, "Age: 1800"], HIT, ["Cache-Control: max-age=2000"]),
    case("RFC 9111 5.2.1.2 MAY", "max-stale", GONE, HIT, ["Cache-Control: max-stale"]),
    case("RFC 9111 5.2.1.2 MAY", "max-stale of enough", GONE, HIT, ["Cache-Control: max-stale=4000"]),
    case("RFC 9111 5.2.1.2 MAY", "max-stale of not enough", GONE, MISS, ["Cache-Control: max-stale=3000"]),
    case("RFC 9111 5.2.1.3 MAY", "min-fresh", FRESH, HIT, ["Cache-Control: min-fresh=3000"]),
    case("RFC 9111 5.2.1.3 MAY", "min-fresh of too much", FRESH, MISS, ["Cache-Control: min-fresh=4000"]),
    case("RFC 9111 5.2.1.3 MAY", "min-fresh of too much for its age", [FRESH, "Age: 1000"], MISS, ["Cache-Control: min-fresh=3000"]),
    case("RFC 9111 5.2.1.4 MAY", "no-cache", FRESH, MISS, ["Cache-Control: no-cache"]),
    case("RFC 9111 5.2.1.4 MAY", "no-cache and Last-Modified", [FRESH, "Last-Modified: {-10000}"], DATE, ["Cache-Control: no-cache"]),
    case("RFC 9111 5.2.1.4 MAY", "no-cache and ETag", [FRESH, 'ETag: "a"'], ETAG, ["Cache-Control: no-cache"]),
    case("RFC 9111 5.2.1.5 MUST NOT", "no-store", FRESH, MISS, ["Cache-Control: no-store"]),
    case("RFC 9111 5.2.1.7 SHOULD", "only-if-cached, stored", FRESH, HIT, ["Cache-Control: only-if-cached"]),
    case("RFC 9111 5.2.1.7 SHOULD", "only-if-cached, not stored", [], "504", ["Cache-Control: only-if-cached"]),
    case("RFC 9111 5.4 MAY", "Pragma: no-cache", FRESH, MISS, ["Pragma: no-cache"]),
    case("RFC 9111 5.4 MAY", "another Pragma", FRESH, HIT, ["Pragma: foo"]),
    case("RFC 9111 5.4 MAY", "Pragma beside Cache-Control", FRESH, HIT, ["Pragma: no-cache", "Cache-Control: max-age=100"]),
]

HEURISTIC = [case("RFC 9111 4.2.2 MAY", f"a tenth of {ago} s", f"Last-Modified: {{-{ago}}}", HIT)
             for ago in (60, 300, 600, 1200, 1800, 3600, 43200, 86400, 864000)] + [
    case("RFC 9111 4.2.2 MUST NOT", "not beside Expires", ["Last-Modified: {-86400}", "Expires: {-1}"], DATE),
    case("RFC 9111 4.2.2 MUST NOT", "not beside max-age", ["Last-Modified: {-86400}", "Cache-Control: max-age=0"], DATE),
    case("RFC 9111 4.2.2 MAY", "not from the future", "Last-Modified: {+86400}", DATE),
    case("RFC 9111 4.2.2 MAY", "not from a tag", 'ETag: "a"', ETAG),
]

VARY = [
    case("RFC 9111 4.1 MUST NOT", "the same", [FRESH, "Vary: Foo"], HIT, ["Foo: 1"], ["Foo: 1"]),
    case("RFC 9111 4.1 MUST NOT", "another", [FRESH, "Vary: Foo"], MISS, ["Foo: 2"], ["Foo: 1"]),
    case("RFC 9111 4.1 MUST NOT", "none before", [FRESH, "Vary: Foo"], MISS, ["Foo: 1"]),
    case("RFC 9111 4.1 MUST NOT", "none now", [FRESH, "Vary: Foo"], MISS, [], ["Foo: 1"]),
    case("RFC 9111 4.1 MUST NOT", "none ever", [FRESH, "Vary: Foo"], HIT, ["Bar: 1"]),
    case("RFC 9111 4.1 MUST NOT", "what is not named", [FRESH, "Vary: Foo"], HIT, ["Foo: 1", "Other: 3"], ["Foo: 1", "Other: 2"]),
    case("RFC 9111 4.1 MUST NOT", "two, the same", [FRESH, "Vary: Foo, Bar"], HIT, ["Bar: abc", "Foo: 1"], ["Foo: 1", "Bar: abc"]),
    case("RFC 9111 4.1 MUST NOT", "two, one differs", [FRESH, "Vary: Foo, Bar"], MISS, ["Foo: 2", "Bar: abc"], ["Foo: 1", "Bar: abc"]),
    case("RFC 9111 4.1 MUST NOT", "two, both missing", [FRESH, "Vary: Foo, Bar"], MISS, [], ["Foo: 1", "Bar: abc"]),
    case("RFC 9111 4.1 MUST NOT", "two lines", [FRESH, "Vary: Foo", "Vary: Bar"], MISS, ["Foo: 1", "Bar: x"], ["Foo: 1", "Bar: abc"]),
    case("RFC 9111 4.1 MUST NOT", "three, the same", [FRESH, "Vary: Foo, Bar, Baz"], HIT, ["Foo: 1", "Bar: a", "Baz: 7"],
         ["Foo: 1", "Bar: a", "Baz: 7"]),
    case("RFC 9111 4.1 MUST NOT", "three, in another order", [FRESH, "Vary: Foo, Bar, Baz"], MISS, ["Foo: 1", "Baz: 7", "Bar: ab"],
         ["Foo: 1", "Bar: a", "Baz: 7"]),
    case("RFC 9111 4.1 MUST NOT", "three, one never there", [FRESH, "Vary: Foo, Bar, Baz"], HIT, ["Foo: 1", "Baz: 7"], ["Foo: 1", "Baz: 7"]),
    case("RFC 9111 4.1 MAY normalise", "lines joined", [FRESH, "Vary: Foo"], HIT, ["Foo: 1", "Foo: 2"], ["Foo: 1, 2"]),
    case("RFC 9111 4.1 MAY normalise", "white space", [FRESH, "Vary: Foo"], HIT, ["Foo:  1,  2 "], ["Foo: 1,2"]),
    case("RFC 9111 4.1 MAY normalise", "languages in order", [FRESH, "Vary: Accept-Language"], HIT,
         ["Accept-Language: de, en"], ["Accept-Language: en, de"]),
    case("RFC 9111 4.1 MAY normalise", "languages in case", [FRESH, "Vary: Accept-Language"], HIT,
         ["Accept-Language: eN, De"], ["Accept-Language: en, de"]),
    case("RFC 9111 4.1 MAY normalise", "languages in space", [FRESH, "Vary: Accept-Language"], HIT,
         ["Accept-Language:  en ,   de"], ["Accept-Language: en, de"]),
    case("RFC 9111 4.1 MUST NOT", "the language wanted most", [FRESH, "Vary: Accept-Language", "Content-Language: de"], MISS,
         ["Accept-Language: fr;q=0.5, de;q=1.0"], ["Accept-Language: en, de"]),
] + [case("RFC 9111 4.1 MUST star", ", ".join(lines), [FRESH, *lines], MISS, ["Foo: 1"], ["Foo: 1"]) for lines in (
    ["Vary: *"], ["Vary: *, *"], ["Vary: *", "Vary: *"], ["Vary: , *"], ["Vary:", "Vary: *"], ["Vary: *, Foo"], ["Vary: Foo, *"])]

CONDITIONS = [
    case("RFC 9111 4.3.2 SHOULD", "a strong tag", [FRESH, 'ETag: "abcdef"'], "304", ['If-None-Match: "abcdef"'], show=['ETag: "abcdef"']),
    case("RFC 9111 4.3.2 SHOULD", "a weak tag", [FRESH, 'ETag: W/"abcdef"'], "304", ['If-None-Match: W/"abcdef"']),
    case("RFC 9110 13.1.2 MUST", "weak and strong", [FRESH, 'ETag: W/"abcdef"'], "304", ['If-None-Match: "abcdef"']),
    case("RFC 9110 13.1.2 MUST", "first of several", [FRESH, 'ETag: "a"'], "304", ['If-None-Match: "a", "1", "5"']),
    case("RFC 9110 13.1.2 MUST", "second of several", [FRESH, 'ETag: "a"'], "304", ['If-None-Match: "1", "a", "5"']),
    case("RFC 9110 13.1.2 MUST", "last of several", [FRESH, 'ETag: "a"'], "304", ['If-None-Match: "1", "5", "a"']),
    case("RFC 9110 13.1.2 MUST", "any", [FRESH, 'ETag: "a"'], "304", ["If-None-Match: *"]),
    case("RFC 9110 13.1.2 MUST", "another tag", [FRESH, 'ETag: "a"'], HIT, ['If-None-Match: "b"']),
    case("RFC 9110 13.1.3 MUST", "If-None-Match before If-Modified-Since", [FRESH, 'ETag: "a"', "Last-Modified: {-5000}"], "304",
         ['If-None-Match: "a"', "If-Modified-Since: {-9000}"]),
    case("RFC 9110 13.1.3 MUST", "also when it does not match", [FRESH, 'ETag: "a"', "Last-Modified: {-5000}"], HIT,
         ['If-None-Match: "b"', "If-Modified-Since: {-1}"]),
    case("RFC 9110 8.8.3 MUST", "obs-text in a tag", [FRESH, 'ETag: "abcdef\xfc"'], "304", ['If-None-Match: "abcdef\xfc"']),
    case("RFC 9110 8.8.3 MUST", "no quotes in the request", [FRESH, 'ETag: "a"'], HIT, ["If-None-Match: a"]),
    case("RFC 9110 8.8.3 MUST", "no quotes anywhere", [FRESH, "ETag: a"], HIT, ["If-None-Match: a"]),
    case("RFC 9110 8.8.3 MUST", "no quotes in the response", [FRESH, "ETag: a"], HIT, ['If-None-Match: "a"']),
    case("RFC 9110 8.8.3 MUST", "w/ is no mark", [FRESH, 'ETag: w/"a"'], HIT, ['If-None-Match: w/"a"']),
    case("RFC 9110 8.8.3 MUST", "W\\ is none either", [FRESH, 'ETag: W\\"a"'], HIT, ['If-None-Match: W\\"a"']),
    case("RFC 9111 4.3.2 SHOULD", "the same date", [FRESH, "Last-Modified: {-3000}"], "304", ["If-Modified-Since: {-3000}"]),
    case("RFC 9111 4.3.2 SHOULD", "a later date", [FRESH, "Last-Modified: {-3000}"], "304", ["If-Modified-Since: {-2000}"]),
    case("RFC 9111 4.3.2 SHOULD", "an earlier date", [FRESH, "Last-Modified: {-3000}"], HIT, ["If-Modified-Since: {-4000}"]),
    case("RFC 9111 4.3.2 SHOULD", "in RFC 850 form", [FRESH, "Last-Modified: {-3000}"], "304", ["If-Modified-Since: {-3000 rfc850}"]),
    case("RFC 9111 4.3.2 SHOULD", "in asctime form", [FRESH, "Last-Modified: {-3000}"], "304", ["If-Modified-Since: {-3000 asctime}"]),
    case("RFC 9111 4.3.2 SHOULD", "without Last-Modified, after Date", [FRESH, "Date: {-100}"], "304", ["If-Modified-Since: {-50}"],
         date=False),
    case("RFC 9111 4.3.2 SHOULD", "without Last-Modified, before Date", FRESH, HIT, ["If-Modified-Since: {-3000}"]),
    case("RFC 9110 13.1.3 MUST", "what is no date", [FRESH, "Last-Modified: {-3000}"], HIT, ["If-Modified-Since: foo"]),
    case("RFC 9111 4.3.2 MUST NOT", "If-Match is the origin's", [FRESH, 'ETag: "a"'], MISS, ['If-Match: "a"']),
    case("RFC 9111 4.3.2 MUST NOT", "If-Unmodified-Since is", [FRESH, "Last-Modified: {-3000}"], MISS, ["If-Unmodified-Since: {-3000}"]),
    case("RFC 9111 4.3.1 MUST", "a stale record with a tag", [*GONE, 'ETag: "a"'], ETAG),
    case("RFC 9111 4.3.1 MUST", "with a weak one", [*GONE, 'ETag: W/"a"'], ETAG),
    case("RFC 9111 4.3.1 SHOULD", "with a date", [*GONE, "Last-Modified: {-3000}"], DATE),
    case("RFC 9111 4.3.1 SHOULD", "with both", [*GONE, 'ETag: "a"', "Last-Modified: {-3000}"], BOTH),
    case("RFC 9111 4.3.1 MUST", "with Vary", [*GONE, 'ETag: "a"', "Vary: Abc"], ETAG, ["Abc: 123"], ["Abc: 123"]),
    case("RFC 9111 4.3.1 MUST", "not for another variant", [FRESH, 'ETag: "a"', "Vary: Abc"], MISS, ["Abc: 456"], ["Abc: 123"]),
]

AUTHORIZED = ["Authorization: FOO"]
OTHER = [
    case("RFC 9111 3.5 MUST NOT", "Authorization", FRESH, MISS, [], AUTHORIZED),
    case("RFC 9111 3.5 MUST NOT", "Authorization both times", FRESH, MISS, AUTHORIZED, AUTHORIZED),
    case("RFC 9111 3.5 MUST NOT", "public", "Cache-Control: max-age=3600, public", HIT, [], AUTHORIZED),
    case("RFC 9111 3.5 MUST NOT", "must-revalidate", "Cache-Control: max-age=3600, must-revalidate", HIT, [], AUTHORIZED),
    case("RFC 9111 3.5 MUST NOT", "s-maxage", "Cache-Control: s-maxage=3600", HIT, [], AUTHORIZED),
    case("RFC 9111 7.3 MAY", "Set-Cookie", [FRESH, "Set-Cookie: a=b"], HIT, show=["Set-Cookie: a=b"]),
    case("RFC 9111 7.3 MAY", "Cookie", FRESH, HIT, ["Cookie: a=b"]),
    case("RFC 9110 14.2 MAY", "Range on what is stored", FRESH, HIT, ["Range: bytes=0-1"]),
    case("RFC 9111 3.1 MUST", "a disposition", [FRESH, "Content-Disposition: attachment; filename=example.txt"], HIT),
    case("RFC 9110 9.3.2 MAY", "HEAD is not for GET", FRESH, MISS, method="HEAD"),
    case("RFC 9110 9.3.7 MUST NOT", "OPTIONS", FRESH, MISS, method="OPTIONS"),
    case("RFC 9110 9.3.4 MUST NOT", "PUT", FRESH, MISS, method="PUT"),
    case("RFC 9110 9.3.5 MUST NOT", "DELETE", FRESH, MISS, method="DELETE"),
    case("RFC 9111 3 MUST NOT method", "a method nobody knows", FRESH, MISS, method="M-SEARCH"),
]

STORED = {
    "Test-Header": "a", "X-Test-Header": "a", "Content-Foo": "a", "X-Content-Foo": "a", "Content-Encoding": "gzip",
    "Content-Location": "/bar", "Content-MD5": "N7UdGUp1E+RbVvZSTy1R8g==", "Content-Range": "a", "Content-Type": "text/plain",
    "Content-Security-Policy": "default-src 'self' cdn.example.com", "Clear-Site-Data": "cookies", "ETag": '"ghijkl"',
    "Expires": "Mon, 11 Jan 2038 11:11:11 GMT", "Public-Key-Pins": "a", "Set-Cookie": "a=c", "Set-Cookie2": "a=c",
    "Strict-Transport-Security": "max-age=1", "WWW-Authenticate": "a", "X-Frame-Options": "sameorigin", "X-XSS-Protection": "1",
    "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", "Link": "</a>; rel=b", "Via": "1.0 other", "Warning": '110 - "x"',
    "Allow": "GET", "Accept-Ranges": "bytes", "Server": "x",
}
NOT_STORED = ["Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection", "TE",
              "Trailer", "Upgrade"]
FIELDS = [
    case("RFC 9111 3.1 MUST", name, [FRESH, f"{name}: {value}"], HIT, show=[f"{name}: {value}"]) for name, value in STORED.items()
] + [
    case("RFC 9111 3.1 MUST NOT", name, [FRESH, f"{name}: x"], HIT, hide=[name]) for name in NOT_STORED
] + [
    case("RFC 9110 7.6.1 MUST", "what Connection names", [FRESH, "Connection: a, B", "a: 1", "b: 2", "c: 3"], HIT,
         show=["c: 3"], hide=["a", "b", "Connection"]),
    case("RFC 9111 5.2.2.4 MUST exclude", "what no-cache names", [FRESH, 'Cache-Control: no-cache="a"', "a: 1", "b: 2"], HIT,
         show=["b: 2"], hide=["a"]),
    case("RFC 9111 5.2.2.4 MUST exclude", "several of them", [FRESH, 'Cache-Control: no-cache="a, b"', "a: 1", "b: 2", "c: 3"], HIT,
         show=["c: 3"], hide=["a", "b"]),
    case("RFC 9111 5.2.2.7 MUST NOT fields", "what private names", [FRESH, 'Cache-Control: private="A"', "a: 1", "b: 2"], HIT,
         show=["b: 2"], hide=["a"]),
    case("RFC 9111 3.1 MUST", "lines of one name, in order", [FRESH, "X: 1", "Y: 0", "X: 2"], HIT, show=["X: 1", "X: 2"]),
]


def check(answer, outcome):
    """The answer is of that kind."""
    if outcome in (HIT, "304"):
        assert (answer.hit, answer.status) == (True, 204 if outcome == HIT else 304), answer
    elif outcome == "504":
        assert answer.status == 504
    else:
        assert (answer.hit, answer.status) == (False, 204), answer


@pytest.mark.parametrize("lines, outcome, second, first, method, show, hide, date", [
    *FRESHNESS, *CACHE_CONTROL, *AGE, *EXPIRES, *DIRECTIVES, *REQUESTS, *HEURISTIC, *VARY, *CONDITIONS, *OTHER, *FIELDS])
def test_case(client, origin, lines, outcome, second, first, method, show, hide, date):
    lines, second, first = ([dated(line) for line in part] for part in (lines, second, first))
    origin.on("/", respond(204, *lines, "X-Count: 1", date=date), respond(204, *lines, "X-Count: 2", date=date))
    if not (outcome == "504" and not lines):
        passed_on = client.ask(method, origin.url(), *first)
        assert passed_on.status == 204
        for line in show:
            name, _, value = line.partition(": ")
            assert name in ("Age",) or value in passed_on.fields.all(name)
    asked = len(origin.requests)
    answer = client.get(origin.url(), *second)
    check(answer, outcome)
    assert len(origin.requests) == asked + (outcome not in (HIT, "304", "504"))
    if len(origin.requests) > asked:
        assert answer["X-Count"] == "2"
        given = {"If-None-Match", "If-Modified-Since"} & {line.split(":")[0] for line in second}
        sent = {name for name in ("If-None-Match", "If-Modified-Since") if name in origin.last.fields}
        assert sent - given == {MISS: set(), ETAG: {"If-None-Match"}, DATE: {"If-Modified-Since"},
                                BOTH: {"If-None-Match", "If-Modified-Since"}}[outcome]
    for line in show:
        name, _, value = line.partition(": ")
        assert value in answer.fields.all(name) or (name == "Age" and int(value) <= answer.age <= int(value) + 3)
    for name in hide:
        assert name not in answer.fields


# Updates by a 304: [name, value before, value in the 304]
UPDATES = [(name, "before", "after") for name in ("Test-Header", "X-Test-Header", "Content-Foo", "X-Content-Foo", "X")] + [
    ("Cache-Control", "max-age=1, before", "max-age=3600, after"), ("Content-Type", "text/plain", "text/html"),
    ("Content-Location", "/foo", "/bar"), ("Content-Encoding", "gzip", "br"), ("Set-Cookie", "a=b", "a=c"),
    ("Content-Security-Policy", "default-src 'self'", "default-src 'none'"), ("X-Frame-Options", "deny", "sameorigin"),
    ("Clear-Site-Data", "cache", "cookies"), ("Expires", "{-10}", "{+3600}"), ("Link", "</a>", "</b>"), ("Vary", "X-A", "X-B"),
    ("Last-Modified", "{-5000}", "{-5000}")]


@pytest.mark.requirement("RFC 9111 4.3.4 MUST", "RFC 9111 3.2 MUST")
@pytest.mark.parametrize("validator", ['ETag: "v"', "Last-Modified: {-5000}", 'ETag: W/"v"'])
@pytest.mark.parametrize("name, before, after", UPDATES, ids=[row[0] for row in UPDATES])
def test_304_updates(client, origin, name, before, after, validator):
    """In the answer made from it, and in what is stored."""
    before, after, validator = dated(before), dated(after), dated(validator)
    if validator.startswith(name):
        validator = 'ETag: "w"'
    stale, fresh = ["Cache-Control: max-age=1", "Age: 9"], ["Cache-Control: max-age=3600"]
    if name == "Cache-Control":
        stale, fresh = ["Age: 9"], []
    elif name == "Expires":
        stale, fresh = [], []
    origin.on("/", respond(204, *stale, validator, "X-Kept: yes", f"{name}: {before}"), respond(304, *fresh, validator, f"{name}: {after}"))
    client.get(origin.url())
    validated, hit = client.get(origin.url()), client.get(origin.url())
    assert (validated.status, validated.cache_status["fwd-status"], hit.hit) == (204, 304, True)
    for answer in (validated, hit):
        assert answer["X-Kept"] == "yes"
        assert answer.fields.all(name) == [after]
    assert len(origin.requests) == 2


@pytest.mark.requirement("RFC 9111 3.2 MUST")
@pytest.mark.parametrize("name", ["Content-Length", "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer",
                                  "Proxy-Authenticate"])
def test_304_does_not_update(client, origin, name):
    value = {"Content-Length": "10", "Transfer-Encoding": "chunked", "Connection": "X-Named"}.get(name, "x")
    origin.on("/", respond(204, "Cache-Control: max-age=1", "Age: 9", 'ETag: "v"', "X-Named: 1"),
              respond(304, FRESH, 'ETag: "v"', f"{name}: {value}", *["X-Named: 2"][:name == "Connection"]))
    client.get(origin.url())
    for answer in (client.get(origin.url()), client.get(origin.url())):
        assert (answer.status, answer["X-Named"]) == (204, "1")
        assert name not in answer.fields


@pytest.mark.requirement("RFC 9111 4.3.4 MUST")
def test_304_that_says_nothing_confirms_all(client, origin):
    origin.on("/", respond(204, "Cache-Control: max-age=600", "Age: 900", 'ETag: "v"', "X: y"), respond(304))
    client.get(origin.url())
    for answer in (client.get(origin.url()), client.get(origin.url())):
        assert (answer.status, answer["X"], answer["ETag"], answer.age < 5) == (204, "y", '"v"', True)
    assert len(origin.requests) == 2


@pytest.mark.requirement("RFC 9111 4.3.4 MUST NOT")
@pytest.mark.parametrize("tag", ['"other"', 'W/"other"'])
def test_304_for_another_tag_updates_nothing(client, origin, tag):
    """Nobody asked for that one: the origin is asked anew, without a condition."""
    origin.on("/", respond(204, "Cache-Control: max-age=1", "Age: 9", 'ETag: "v"', "X: 1"),
              respond(304, FRESH, f"ETag: {tag}", "X: 2"), respond(204, FRESH, 'ETag: "new"', "X: 3"))
    client.get(origin.url())
    answer = client.get(origin.url())
    assert (answer.status, answer["X"], answer["ETag"]) == (204, "3", '"new"')
    assert "If-None-Match" not in origin.last.fields


@pytest.mark.requirement("RFC 9110 15.4.5 MUST NOT")
@pytest.mark.parametrize("stored", [True, False])
def test_304_never_answers_who_asked_without_condition(client, connect, origin, stored):
    origin.on("/", *[respond(204, "Cache-Control: max-age=0")][:stored], respond(304, 'ETag: "x"'))
    if stored:
        client.get(origin.url())
    assert client.get(origin.url()).status == 502
    assert connect().get(origin.url("/next")).status == 204


UNSAFE = ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO"]


@pytest.mark.requirement("RFC 9111 4.4 MUST")
@pytest.mark.parametrize("status", [200, 201, 204, 303, 399])
@pytest.mark.parametrize("method", UNSAFE)
def test_unsafe_request_that_succeeds_removes(client, origin, method, status):
    origin.on("/", respond(204, FRESH), respond(status), respond(204))
    client.get(origin.url())
    assert client.ask(method, origin.url(), body=b"abc").status == status
    assert not client.get(origin.url()).hit


@pytest.mark.requirement("RFC 9111 4.4 OWN")
@pytest.mark.parametrize("status", [400, 404, 500, 503])
@pytest.mark.parametrize("method", UNSAFE)
def test_unsafe_request_that_fails_does_not(client, origin, method, status):
    origin.on("/", respond(204, FRESH), respond(status))
    client.get(origin.url())
    assert client.ask(method, origin.url(), body=b"abc").status == status
    assert client.get(origin.url()).hit


@pytest.mark.requirement("RFC 9111 4.4 MAY", "RFC 9111 4.4 MUST NOT origin")
@pytest.mark.parametrize("field", ["Location", "Content-Location"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "M-SEARCH"])
def test_locations_are_removed_too(client, origin, start_origin, method, field):
    other = start_origin()
    for at in (origin, other):
        at.on("/target", respond(204, FRESH))
        client.get(at.url("/target"))
    origin.on("/do", respond(201, f"{field}: target"), respond(201, f"{field}: {other.url('/target')}"))
    client.ask(method, origin.url("/do"), body=b"abc")
    assert not client.get(origin.url("/target")).hit
    client.ask(method, origin.url("/do"), body=b"abc")
    assert client.get(other.url("/target")).hit


@pytest.mark.requirement("RFC 9111 4 MUST uri")
@pytest.mark.parametrize("first, second, same", [
    ("/?test=1", "/?test=1", True), ("/?test=1", "/?test=2", False), ("/a", "/A", False), ("/?", "/", False),
    ("/a/../b", "/b", False), ("/%41", "/A", False), ("/?a=1&b=2", "/?b=2&a=1", False), ("/a", "/a/", False)])
def test_the_target_is_the_key(client, origin, first, second, same):
    origin.default = respond(204, FRESH)
    client.get(origin.url(first))
    assert client.get(origin.url(second)).hit is same


@pytest.mark.requirement("RFC 9110 15.2 MUST")
@pytest.mark.parametrize("status", [102, 103])
def test_interim_responses_are_passed_on_and_leave_nothing(client, origin, status):
    origin.on("/", respond(status, "Link: </styles.css>; rel=preload", "X-My-Header: test", date=False) + respond(204, FRESH))
    answer = client.get(origin.url())
    assert [(i.status, i["Link"], i["X-My-Header"]) for i in answer.interim] == [(status, "</styles.css>; rel=preload", "test")]
    for answer in (answer, client.get(origin.url())):
        assert "X-My-Header" not in answer.fields
    assert (answer.hit, answer.interim) == (True, [])


@pytest.mark.requirement("RFC 9111 5.2.2.5 MUST NOT")
@pytest.mark.parametrize("line", ["Cache-Control: no-store", "Cache-Control: no-store, max-age=0"])
def test_older_response_after_a_newer_one_that_is_not_stored(client, origin, line):
    """It is fresh still, and the newer one said only that it is not to be kept."""
    origin.on("/", respond(204, FRESH, "A: 1"), respond(204, line, "A: 2"))
    client.get(origin.url())
    assert client.get(origin.url(), "Cache-Control: no-cache")["A"] == "2"
    answer = client.get(origin.url())
    assert (answer.hit, answer["A"]) == (True, "1")


@pytest.mark.requirement("RFC 9111 4 MUST write-through")
@pytest.mark.parametrize("method", UNSAFE)
def test_unsafe_requests_are_written_through(client, origin, method):
    origin.on("/", respond(204, FRESH))
    client.get(origin.url())
    origin.refuse()
    answer = client.ask(method, origin.url(), body=b"x")
    assert (answer.status, answer.hit) == (502, False)


def test_what_passed_over_a_record_with_another_answer_removes_it(client, origin):
    """Also when the request was no-store: what is there now is something else (RULES 5)."""
    origin.on("/a", respond(204, FRESH), respond(404, body=b"x"), respond(204, FRESH))
    client.get(origin.url("/a"))
    assert client.get(origin.url("/a"), "Cache-Control: no-store").status == 404
    assert not client.get(origin.url("/a")).hit
