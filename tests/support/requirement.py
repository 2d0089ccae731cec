"""Marks a test as proof of requirements of the RFCs:

    @requirement("RFC 9111 4.4 MUST")

The names are those of tests/conformance/requirements.txt; tests/conformance/report.py reads them from
the source, and `pytest -m requirement` runs the tests that have one.
"""

import pytest

requirement = pytest.mark.requirement
