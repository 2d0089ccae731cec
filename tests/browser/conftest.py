"""Fixtures of the tests of the operator's page, in Chromium: they are skipped where it is not at hand."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import chromium, dash  # noqa: E402
from support.proxy import Proxy  # noqa: E402

PICTURES = os.environ.get("BROWSER_PICTURES")  # a folder to leave pictures of all states in


def pytest_collection_modifyitems(items):
    if not chromium.PROGRAM:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="Chromium is not at hand"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def document(tmp_path_factory):
    """The page and its fields, as the binary gives them."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy"))
    answer = proxy.admin("/", "GET", "Accept: text/html,*/*;q=0.8")
    proxy.stop()
    names = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Vary")
    return answer.body, {name: answer[name] for name in names}


@pytest.fixture
def server(document):
    server = dash.DashServer(*document)
    yield server
    server.close()


@pytest.fixture
def open_page(browser):
    """A tab that shows a page, once it has its first answer; what it complained of is looked at in the end."""
    pages = []

    def open_page(url, wait=True, **options):
        page = browser.page(**options)
        pages.append(page)
        page.go(url)
        if wait:
            page.until("typeof shown !== 'undefined' && shown !== null", "an answer is shown")
        return page

    yield open_page
    complaints = [complaint for page in pages for complaint in page.complaints]
    for page in pages:
        page.close()
    assert not complaints, complaints


@pytest.fixture
def picture(request):
    """Leaves a picture, where that is wanted."""
    def take(page, name):
        if PICTURES:
            page.picture(pathlib.Path(PICTURES) / f"{name}.png")
    return take
