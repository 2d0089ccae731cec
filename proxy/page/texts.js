/* Words for tokens of answers. REASONS (token to meaning and advice) and FAILURES (name to sentence) stand before
   this: they are made of cache/policy/reasons.def and proxy/base/failures.def (page.c). */

const PHASES = {
  "connect": "is connecting", "first-byte": "waits for the first byte", "content": "passes content on",
};

const STATES = {
  "refused": "refuses connections", "timeout": "does not answer", "failing": "fails", "unreachable": "cannot be reached",
  "dns": "has no address", "tls": "fails at TLS",
};
