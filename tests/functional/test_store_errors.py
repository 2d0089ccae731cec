"""Writes to the store fail, whatever the system says of them: served on without storing, counted, and over
when there is room again. And a directory that cannot be written to."""

import errno
import os
import pathlib
import re
import shutil
import tempfile

import pytest

from support.origin import respond
from support.proxy import BINARY, Proxy
from support.until import until

FRESH = "Cache-Control: max-age=600"
NOBODY = 65534

pytestmark = pytest.mark.long


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT], ids=errno.errorcode.get)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.one_worker("each test says how many there are")
def test_served_on_without_storing(tmp_path, troubled_store, origin, error, workers):
    origin.default = respond(204, FRESH)
    trouble = tmp_path / "trouble"
    proxy = Proxy(tmp_path / "proxy", f"workers={workers}", start=False)
    proxy.environment = {"LD_PRELOAD": str(troubled_store), "TROUBLE_FAILURES": "1", "TROUBLE_ERROR": str(error),
                         "TROUBLE_WHILE": str(trouble)}
    proxy.start()
    try:
        with proxy.connect() as client:
            assert client.get(origin.url("/before")).stored
            until(lambda: proxy.stats()["store"]["entries"] == 1, "stored")
            trouble.touch()
            for n in range(20):
                assert client.get(origin.url(f"/{n}")).status == 204
            until(lambda: proxy.stats()["store"]["failures"] > 0, "it fails")
            told = f"{proxy.store}: commit: {os.strerror(error)}"
            until(lambda: told in proxy.errors(), "it is told")
            assert client.get(origin.url("/before")).hit
            assert client.ask("POST", origin.url("/before")).status == 204
            assert not client.get(origin.url("/before")).hit
            trouble.unlink()
            until(lambda: client.get(origin.url("/after")).hit, "it is stored again")
        before = len(origin.requests)
        proxy.restart()
        with proxy.connect() as client:
            assert client.get(origin.url("/after")).hit
        assert len(origin.requests) == before
    finally:
        proxy.kill()
        proxy.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
def test_a_directory_that_cannot_be_written_to():
    """It does not start, and says which and why."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        proxy = Proxy(pathlib.Path(place) / "proxy", "access_log=", start=False)
        proxy.binary = shutil.copy(BINARY, f"{place}/cache204")  # where that user may read it
        proxy.store.mkdir()
        os.chown(proxy.directory, NOBODY, NOBODY)
        os.chown(proxy.store, NOBODY, NOBODY)
        proxy.wrapper = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        proxy.store.chmod(0o500)
        with pytest.raises(AssertionError, match="did not start"):
            proxy.start()
        assert re.search(f"error: .*{re.escape(str(proxy.store))}.*: Permission denied", proxy.errors())
        proxy.store.chmod(0o700)
        proxy.start()
        proxy.stop()
