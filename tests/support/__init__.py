"""What the functional tests stand on: the proxy, a scripted origin, and a raw client."""
