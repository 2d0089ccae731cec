"""What h11 makes of a message, as tests/differential/verdicts.c says it."""

import re

import h11

NAME = f"h11 {h11.__version__}"


def connection(kind):
    """As the end that receives such a message."""
    if kind == "request":
        return h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16)
    end = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 16)
    method = "HEAD" if kind == "response-head" else "GET"
    end.send(h11.Request(method=method, target="/", headers=[("Host", "h.example")]))
    end.send(h11.EndOfMessage())
    return end


def accepted(kind, message, head, body, end, close):
    start = f"method={head.method.hex()} target={head.target.hex()}" if kind == "request" else f"status={head.status_code}"
    fields = "".join(f" field={bytes(name).hex()}:{bytes(value).hex()}" for name, value in head.headers.raw_items())
    return (f"accept end={len(message) - len(end.trailing_data[0])} close={int(close)} version={head.http_version.decode()[2:]} {start} "
            f"body={body.hex()}{fields}")


def read(kind, message):
    """The verdict as a line."""
    end = connection(kind)
    head, body, close = None, bytearray(), False
    end.receive_data(message)
    try:
        while True:
            event = end.next_event()
            if event is h11.NEED_DATA:
                # only the end of the connection may still end it
                if head is None or kind == "request" or close:
                    return "more"
                end.receive_data(b"")
                close = True
            elif isinstance(event, (h11.Request, h11.Response)):
                head = event
            elif isinstance(event, h11.InformationalResponse):
                return accepted(kind, message, event, b"", end, False)
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return accepted(kind, message, head, body, end, close)
            else:
                return "more"
    except h11.RemoteProtocolError as error:
        return "more" if close else f"reject why={re.sub('[^ -~]| ', '_', str(error))}"
