/* Words for tokens of answers. REASONS (token to meaning and advice) and FAILURES (name to sentence) stand before
   this: they are made of cache/policy/reasons.def and proxy/base/failures.def (page.c). */

const PHASES = {
  "parse": "is read", "dns": "looks the name up", "lookup": "looks the name up", "connect": "is connecting", "tls": "shakes hands (TLS)",
  "send": "sends the request", "request": "sends the request", "first-byte": "waits for the first byte", "content": "passes content on",
  "body": "passes content on", "waiting": "waits for another's fetch",
};

const STATES = {
  "refused": "refuses connections", "refuses": "refuses connections", "timeout": "does not answer", "silent": "does not answer",
  "failing": "fails", "down": "cannot be reached", "unreachable": "cannot be reached", "dns": "has no address", "tls": "fails at TLS",
};
