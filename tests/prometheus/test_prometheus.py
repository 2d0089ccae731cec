"""Prometheus scrapes the proxy by a service name, and its promtool finds nothing to say."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest

from support.metrics import metrics_of
from support.origin import CLOSE, respond
from support.ports import free_port
from support.until import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "conf/prometheus-rules.yml"
DASHBOARD = ROOT / "conf/grafana-dashboard.json"
FRESH = "Cache-Control: max-age=600"
NAME, OTHER_NAME = "cache204.service.test", "rebound.service.test"

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *map(str, arguments)], input=text, text=True, capture_output=True, check=False,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


def ask(proxy, origin):
    """Traffic of several kinds, with an origin whose name has to be escaped for none of it."""
    origin.on("/", respond(204, FRESH))
    origin.on("/page", respond(200, body=b"page"))
    origin.on("/broken", [b"HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\nhello", CLOSE])
    origin.on("/cut", [CLOSE])
    with proxy.connect() as client:
        for path in ("/", "/", "/", "/page", "/broken", "/cut"):
            client.get(origin.url(path))
    until(lambda: proxy.stats()["gauges"]["exchanges"] == 0, "all ended")


@pytest.mark.parametrize("workers", [1, 3])
def test_promtool_has_nothing_to_say_of_the_metrics(start_proxy, origin, workers):
    proxy = start_proxy(f"workers={workers}", f"gateway=127.0.0.1:0=http://{origin.authority}")
    for _ in range(2):  # before there was anything, and after
        assert promtool("check", "metrics", text=proxy.admin("/metrics").body.decode()) == (0, "")
        ask(proxy, origin)


def test_promtool_takes_the_rules():
    code, told = promtool("check", "rules", RULES)
    assert code == 0, told
    assert "SUCCESS" in told


def series(name, values, **labels):
    pairs = ",".join(f'{label}="{value}"' for label, value in {"job": "cache204", "instance": "a", **labels}.items())
    return {"series": f"{name}{{{pairs}}}", "values": values}


def test_alerts_fire_for_what_they_name_and_not_without(tmp_path):
    """What promtool makes of an hour of given numbers."""
    well = [series("up", "1x60"), series("cache204_config_last_reload_successful", "1x60"),
            series("cache204_answers_total", "0+40x60", answer="fresh"),
            series("cache204_answers_total", "0+40x60", answer="fetched"),
            series("cache204_responses_total", "0+80x60", status="204", outcome="hit"),
            series("cache204_responses_total", "0+1x60", status="504", outcome="failed"),
            series("cache204_failures_total", "0+1x60", failure="only_if_cached"),
            series("cache204_worker_start_time_seconds", "1x60", worker="0"),
            series("cache204_config_generation", "1x60")]
    ill = [series("up", "1x30 0x30"), series("cache204_config_last_reload_successful", "1x20 0x40"),
           series("cache204_responses_total", "0+90x60", status="204", outcome="hit"),
           series("cache204_responses_total", "0+10x60", status="502", outcome="failed"),
           series("cache204_failures_total", "0x60", failure="only_if_cached"),
           series("cache204_worker_start_time_seconds", "1x40 2x20", worker="0"),
           series("cache204_config_generation", "1x60")]
    fires = {"Cache204Down", "Cache204ClientsGetErrors", "Cache204WorkersDie", "Cache204ReloadRefused"}
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert fires <= set(alerts)

    def case(input_series, names, at):
        return {"interval": "1m", "input_series": input_series,
                "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in names],
                "promql_expr_test": []}

    calm = case(well, alerts, "50m")
    calm["promql_expr_test"] = [{"expr": "instance:cache204_share:rate5m", "eval_time": "50m", "exp_samples": [
        {"labels": 'instance:cache204_share:rate5m{job="cache204",instance="a"}', "value": 0.5}]}]
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [calm]}), encoding="utf-8")
    assert promtool("test", "rules", file)[0] == 0, promtool("test", "rules", file)[1]
    for name in fires:  # no alert is expected, so that promtool fails for the one that fires
        file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [case(ill, [name], "45m")]}), encoding="utf-8")
        code, told = promtool("test", "rules", file)
        assert code != 0 and f'alertname="{name}"' in told, told


# ---- a Prometheus that runs --------------------------------------------------------------------


def can_name():
    """Whether /etc/hosts can be another file for one program."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


class Prometheus:
    def __init__(self, directory, targets, names="", **job):
        self.port = free_port()
        hosts, config = directory / "hosts", directory / "prometheus.yml"
        hosts.write_text(f"127.0.0.1 localhost {names}\n", encoding="ascii")
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "cache204", "static_configs": [{"targets": targets}], **job}]}), encoding="utf-8")
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
                   f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"]
        if names:
            command = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "-", *command]
        self.log = open(directory / "log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with DIRECT.open(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            assert self.process.poll() is None, pathlib.Path(self.log.name).read_text(errors="replace")
            return None

    def query(self, expression):
        """Numbers of the series that the expression has now; None while it cannot be asked."""
        data = self.get("query", query=expression)
        return data and [float(sample["value"][1]) for sample in data["result"]]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture
def scraped(start_proxy, origin, tmp_path):
    """A proxy that a Prometheus has scraped after traffic, by a service name where that can be."""
    named = can_name()
    proxy = start_proxy("workers=2", *([f"admin_hosts={NAME}"] if named else []))
    host = NAME if named else "localhost"
    targets = [f"{host}:{proxy.admin_port}", *([f"{OTHER_NAME}:{proxy.admin_port}"] if named else [])]
    prometheus = Prometheus(tmp_path, targets, f"{NAME} {OTHER_NAME}" if named else "")
    try:
        ask(proxy, origin)
        until(lambda: prometheus.query('cache204_answers_total{answer="fresh"}') == [2.0], "it is scraped", 30)
        yield proxy, prometheus, named, targets
    finally:
        prometheus.close()


def test_it_is_scraped_by_a_service_name(scraped):
    proxy, prometheus, named, targets = scraped
    health = {target["labels"]["instance"]: (target["health"], target["lastError"])
              for target in prometheus.get("targets")["activeTargets"]}
    assert health[targets[0]] == ("up", "")
    if not named:
        pytest.skip("no service name could be given: not root, or no unshare; localhost it was")
    # A name that is not in admin_hosts is refused, as a web page could have it.
    until(lambda: prometheus.query(f'up{{instance="{targets[1]}"}}') == [0.0], "the other is down", 30)
    assert "403" in {target["labels"]["instance"]: target["lastError"]
                     for target in prometheus.get("targets")["activeTargets"]}[targets[1]]
    assert proxy.is_alive()


def test_what_it_has_is_what_the_proxy_told(scraped):
    proxy, prometheus, *_ = scraped
    told = metrics_of(proxy)
    for name in ("cache204_answers_total", "cache204_responses_total", "cache204_origin_first_byte_seconds_bucket",
                 "cache204_listener_answers_total", "cache204_asked_total"):
        assert prometheus.query(f"sum({name})") == [told.sum(name)], name
    types = {name: row[0]["type"] for name, row in prometheus.get("metadata").items()}
    assert {name: types.get(name) for name in told.types} == told.types


def test_it_is_scraped_with_a_token(start_proxy, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    token.chmod(0o600)
    proxy = start_proxy(f"admin_token_file={token}")
    assert proxy.admin("/metrics").status == 401
    prometheus = Prometheus(tmp_path, [f"localhost:{proxy.admin_port}"], authorization={"credentials_file": str(token)})
    try:
        until(lambda: prometheus.query("cache204_workers") == [1.0], "it is scraped", 30)
    finally:
        prometheus.close()


def expressions():
    """Of the dashboard, with its variables filled in."""
    found = []
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    return [(title, text.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+"))
            for title, text in found]


def test_every_panel_of_the_dashboard_has_an_answer(scraped):
    _, prometheus, *_ = scraped
    until(lambda: prometheus.query("count_over_time(cache204_build_info[1m])>2"), "some scrapes", 30)
    asked = expressions()
    assert len(asked) > 30
    may_be_empty = re.compile(r"> 0$")  # reasons, statuses: those that there are
    for title, text in asked:
        values = prometheus.query(text)
        assert values is not None, (title, text)
        assert values or may_be_empty.search(text), (title, text)


def test_the_dashboard_can_be_imported():
    """Its data source is a variable, ids and places are single, and nothing of a machine is in it."""
    text = DASHBOARD.read_text(encoding="utf-8")
    dashboard = json.loads(text)
    kinds = [variable["type"] for variable in dashboard["templating"]["list"]]
    assert kinds[0] == "datasource" and dashboard.get("id") is None
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"cache204", "${datasource}"}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [(panel["gridPos"]["y"] + y, panel["gridPos"]["x"] + x) for panel in panels
             for y in range(panel["gridPos"]["h"]) for x in range(panel["gridPos"]["w"])]
    assert len(set(cells)) == len(cells) and max(x for _, x in cells) < 24
    assert all(panel.get("description") or panel["type"] == "row" for panel in panels)
