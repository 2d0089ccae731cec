"""Chromium without a window, driven over a pipe (Chrome DevTools Protocol): no port, no library."""

import base64
import json
import os
import shutil
import subprocess
import threading

from support.until import until

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT = 60.0  # seconds for an answer of the browser, which shares its machine

KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Space": ("Space", 32, " "),
        "ArrowRight": ("ArrowRight", 39, ""), "ArrowDown": ("ArrowDown", 40, ""), "ArrowLeft": ("ArrowLeft", 37, "")}


class Browser:
    """One process, of which each Page is a tab of its own."""

    def __init__(self, directory, network=("--no-proxy-server",)):
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
                 "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb",
                 *network, f"--user-data-dir={directory}",
                 "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        script = f'exec "$0" "$@" 3<&{to_read} 4>&{from_write} {to_read}<&- {from_write}>&-'
        self.process = subprocess.Popen(["bash", "-c", script, PROGRAM, *flags, "about:blank"], pass_fds=(to_read, from_write),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.lock, self.changed = threading.Lock(), threading.Condition()
        self.answers, self.pages, self.last = {}, {}, 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        waiting = b""
        while True:
            data = os.read(self.from_read, 1 << 16)
            if not data:
                break
            waiting += data
            *whole, waiting = waiting.split(b"\0")
            for message in map(json.loads, whole):
                with self.changed:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    elif message.get("sessionId") in self.pages:
                        self.pages[message["sessionId"]].on_event(message["method"], message["params"])
                    self.changed.notify_all()

    def call(self, method, session=None, **params):
        with self.lock:
            self.last += 1
            number = self.last
            message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
            os.write(self.to_write, json.dumps(message).encode() + b"\0")
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, WAIT):
                raise AssertionError(f"no answer to {method}")
            answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def page(self, **options):
        return Page(self, **options)

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(WAIT)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to_write)


class Page:
    """One tab. What its console, policy and scripts complain of is in `complaints`, what it asks for in
    `requests`."""

    def __init__(self, browser, width=1440, height=900, dark=False, scale=1):
        self.browser = browser
        self.complaints, self.requests = [], []
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network", "Audits", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")
        self.size(width, height, scale)
        self.dark(dark)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def on_event(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(("console", json.dumps(params["args"])))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(("exception", json.dumps(params["exceptionDetails"])))
        elif method == "Log.entryAdded":
            self.complaints.append((params["entry"]["source"], params["entry"]["text"]))
        elif method == "Audits.issueAdded":
            self.complaints.append(("issue", json.dumps(params["issue"])))

    def size(self, width, height=900, scale=1):
        """In CSS pixels; a scale of 2 is what 200 % zoom of twice as wide a window does."""
        self.width = width
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def hover(self, on):
        """Whether the device has a pointer that hovers."""
        self.call("Emulation.setTouchEmulationEnabled", enabled=not on)

    def go(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (script, result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, script, what, timeout=30):
        return until(lambda: self.run(script), what, timeout)

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def key(self, name, shift=False):
        code, number, characters = KEYS[name]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=" " if name == "Space" else name, code=code,
                      windowsVirtualKeyCode=number, modifiers=8 if shift else 0, **({"text": characters} if characters and kind == "keyDown" else {}))

    def type(self, words):
        self.call("Input.insertText", text=words)

    def move(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path=None):
        """Of the whole page, as PNG."""
        height = self.run("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": self.width, "height": min(max(height, 900), 12000), "scale": 1})["data"]
        image = base64.b64decode(data)
        if path:
            with open(path, "wb") as file:
                file.write(image)
        return image

    def accessible(self):
        """The nodes of the tree that a screen reader sees: (role, name, properties)."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", ""), node) for node in nodes
                if not node.get("ignored") and "role" in node]

    def close(self):
        del self.browser.pages[self.session]
        self.browser.call("Target.closeTarget", targetId=self.target)
