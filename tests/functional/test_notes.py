"""The sentences for operators and the alerts for the same speak of each other."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTES = re.findall(r'^NOTE\((\w+), "([\w-]+)", (BAD|WARN|INFO), "([^"]*)", "([^"]*)", "([^"]*)"\)$',
                   (ROOT / "proxy/stats/notes.def").read_text(encoding="ascii"), re.M)
ALERTS = set(re.findall(r"- alert: (\w+)", (ROOT / "conf/prometheus-rules.yml").read_text(encoding="utf-8")))


def test_all_rows_are_read():
    assert len(NOTES) == len(re.findall(r"^NOTE\(", (ROOT / "proxy/stats/notes.def").read_text(encoding="ascii"), re.M))
    assert len({name for _, name, *_ in NOTES}) == len(NOTES) > 10


def test_each_trouble_has_an_alert_or_says_why_not():
    for _, name, level, alert, _, _ in NOTES:
        assert alert in ALERTS or re.match(r"-: \w.{10,}", alert), f"{name}: {alert}"
        assert level == "INFO" or alert != ""


def test_clients_pain_comes_first():
    levels = [level for _, _, level, *_ in NOTES]
    assert levels == sorted(levels, key=["BAD", "WARN", "INFO"].index)


def test_sentences_have_what_is_known():
    for _, name, _, _, sentence, _ in NOTES:
        assert set(re.findall(r"{(\w+)}", sentence)) <= {"host", "what", "n", "s", "percent", "text"}, name
