"""/metrics as it is read by Prometheus: each sample by its name and labels."""

import re

SAMPLE = re.compile(r'([a-z_0-9]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
ESCAPED = {r"\n": "\n", r"\"": '"', r"\\": "\\"}


class Metrics:
    """samples: {(name, ((label, value), ...)): number}; types: {name: type}."""

    def __init__(self, text):
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.fullmatch(line).groups()
            pairs = tuple((label, re.sub(r"\\.", lambda match: ESCAPED[match[0]], text))
                          for label, text in LABEL.findall(labels or ""))
            assert (name, pairs) not in self.samples, line
            self.samples[name, pairs] = float(value)

    def get(self, name, **labels):
        """The one sample that has these labels, and others."""
        (value,) = self.all(name, **labels)
        return value

    def all(self, name, **labels):
        return [value for (this, pairs), value in self.samples.items()
                if this == name and labels.items() <= dict(pairs).items()]

    def sum(self, name, **labels):
        return sum(self.all(name, **labels))

    def by(self, label, name, **labels):
        """The samples that are not 0, by the value of a label."""
        return {dict(pairs)[label]: value for (this, pairs), value in self.samples.items()
                if this == name and value and labels.items() <= dict(pairs).items()}


def metrics_of(proxy):
    answer = proxy.admin("/metrics")
    assert answer.status == 200, answer
    return Metrics(answer.body.decode("utf-8"))
