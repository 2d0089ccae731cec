"""A failure of power, as the store finds it: another boot, and a file as the disk happens to have it."""

from support.until import settle


def power_fails(store, spoil=lambda data: b"\xa5" * len(data)):
    """For the directory of a store that no process has open; spoil(bytes) is what is left of its file."""
    state, file = store / "state", store / "data.mdb"
    state.write_bytes(state.read_bytes().replace(b"boot ", b"boot 0", 1))
    settle(file)
    file.write_bytes(spoil(file.read_bytes()))
