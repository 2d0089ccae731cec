"""What `make bench` is made of: servers, loads, the checks of what was measured, and the report."""
