"""Dates in tables of cases: "Expires: {+60}" is a minute from when the case is run."""

import re
import time

FORMS = {"": "%a, %d %b %Y %H:%M:%S GMT", "rfc850": "%A, %d-%b-%y %H:%M:%S GMT", "asctime": "%a %b %e %H:%M:%S %Y"}


def dated(line, now=None):
    """The line with its dates put in: {+60}, {-3600}, {0}, {+60 rfc850}, {+60 asctime}."""
    now = time.time() if now is None else now

    def put(match):
        return time.strftime(FORMS[(match[2] or "").strip()], time.gmtime(now + int(match[1])))

    return re.sub(r"\{([+-]?\d+)( \w+)?\}", put, line)
