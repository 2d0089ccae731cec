"""A proxy whose configuration is a file, written anew and reloaded."""

import json

from support.proxy import Proxy
from support.until import until


class Reloaded:
    """A proxy of a configuration file, which is written anew."""

    def __init__(self, directory, **options):
        self.proxy = Proxy(directory, start=False)
        self.file = directory / "cache204.conf"
        self.options = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "store": self.proxy.store,
                        "access_log": self.proxy.access_log, "store_size": "16MiB", **options}
        self.write()
        self.proxy.options, self.proxy.arguments = [], ["-c", str(self.file)]
        self.proxy.start()

    def write(self, **options):
        self.options.update(options)
        text = [f"{name} = {self.spell(value)}\n" for name, value in self.options.items() if value is not None]
        self.file.write_text("".join(text), encoding="utf-8")

    @staticmethod
    def spell(value):
        if isinstance(value, (list, tuple)):
            return "{" + ", ".join(f'"{member}"' for member in value) + "}"
        return f'"{value}"'

    def result(self):
        return json.loads(self.proxy.admin("/reload").body)

    def reload(self, **options):
        """Write options anew and reload, to the end of it: the result."""
        self.write(**options)
        asked = json.loads(self.proxy.admin("/reload", "POST").body)["asked"]
        until(lambda: self.result()["answered"] >= asked, "the reload ends")
        return self.result()
