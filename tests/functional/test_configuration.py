"""Options: from a file and over it, checked with the place named, dumped in a form that loads again."""

import os
import re

import pytest

from support.proxy import Proxy, run


def write(directory, text):
    file = directory / "cache204.conf"
    file.write_text(text)
    return file


def test_no_file_is_a_complete_configuration():
    result = run("-t")
    assert result.returncode == 0, result.stderr


def test_good_file(tmp_path):
    file = write(tmp_path, 'listen = { "127.0.0.1:0" }\nstore_size = "16MiB"\nhead_timeout = "5s"\nworkers = 1\n')
    result = run("-c", file, "-t")
    assert result.returncode == 0, result.stderr


BAD_LINES = [
    'nosuch = "1"', 'store_size = "16MB"', 'store_size = "much"', 'store_size = "-1MiB"', 'store_size = "1KiB"',
    'store_size = "99999999GiB"', 'head_timeout = "5"', 'head_timeout = "5 parsecs"', 'head_timeout = "1ms"',
    'head_timeout = "99d"', 'workers = 0', 'workers = 65', 'workers = many', 'conditional_hit = "200"',
    'store_set_cookie = maybe', 'listen = { "nowhere" }', 'listen = { "127.0.0.1:65536" }',
    'listen = { "127.0.0.1" }', 'access_log_format = "xml"', "workers 2", 'workers = "', "=",
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_bad_line_is_refused_with_its_place(tmp_path, bad):
    file = write(tmp_path, f'# a comment\nfield_count = 100\n{bad}\n')
    for arguments in (("-c", file, "-t"), ("-c", file)):
        result = run(*arguments)
        assert result.returncode != 0
        message = result.stderr + result.stdout
        assert re.search(rf"^{re.escape(str(file))}:[34]: \S", message, re.M), message


def test_all_errors_are_reported(tmp_path):
    file = write(tmp_path, 'workers = 0\nhead_timeout = "5"\n')
    result = run("-c", file, "-t")
    text = result.stderr + result.stdout
    assert f"{file}:1: " in text and f"{file}:2: " in text


@pytest.mark.parametrize("setting", [
    "nosuch=1", "store_size=16MB", "store_size=1", "head_timeout=5", "head_timeout=1ms", "workers=0", "workers=",
    "listen=x", "conditional_hit=200", "store_set_cookie=maybe", "workers", "", "=1"])
def test_bad_setting_is_refused(setting):
    for arguments in (("-t", "-o", setting), ("-o", setting)):
        result = run(*arguments)
        assert result.returncode != 0
        name = setting.partition("=")[0]
        assert name in result.stderr + result.stdout
        assert result.stderr


def test_bounds_themselves_are_allowed():
    for setting in ("workers=1", "workers=64", "field_count=8", "field_count=1024", "uri_length=64B",
                    "uri_length=32KiB", "head_size=64KiB", "head_timeout=100ms", "head_timeout=600s", "head_timeout=10m"):
        assert run("-t", "-o", setting).returncode == 0, setting
    for setting in ("workers=65", "field_count=7", "field_count=1025", "uri_length=63B",
                    "uri_length=32769B", "head_size=1023B", "head_size=65537B",
                    "head_timeout=99ms", "head_timeout=600001ms"):
        assert run("-t", "-o", setting).returncode != 0, setting


def test_options_that_contradict_each_other_are_refused():
    assert run("-t", "-o", "head_size=1KiB", "-o", "uri_length=512B").returncode == 0
    result = run("-t", "-o", "head_size=1KiB", "-o", "uri_length=8KiB")
    assert result.returncode != 0 and "head_size" in result.stderr


def dump(*arguments):
    result = run(*arguments, "-T")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_dump_is_a_configuration_with_the_same_dump(tmp_path):
    first = dump("-o", "workers=2", "-o", "head_timeout=1500ms", "-o", "store_size=3MiB", "-o", "store=/a \"b\\c",
                 "-o", "connect_ports=443,8443", "-o", "listen=127.0.0.1:1,[::1]:2", "-o", "preflight_cache=on",
                 "-o", "targeted_cache_control=CDN-Cache-Control", "-o", "uri_length=1000B")
    assert dump("-c", write(tmp_path, first)) == first
    assert re.search(r"^workers *= *2$", first, re.M)


def test_dump_of_the_defaults_loads_again(tmp_path):
    first = dump()
    assert dump("-c", write(tmp_path, first)) == first
    for name in ("listen", "admin", "store", "store_size", "workers", "access_log", "connect_ports",
                 "conditional_hit", "targeted_cache_control", "preflight_cache", "store_set_cookie", "parent"):
        assert re.search(rf"^#? ?{name} *=", first, re.M), name


def test_settings_go_over_the_file_and_the_last_one_wins(tmp_path):
    file = write(tmp_path, "workers = 2\nfield_count = 100\n")
    text = dump("-c", file, "-o", "workers=3", "-o", "workers=4")
    assert re.search(r"^workers *= *4$", text, re.M)
    assert re.search(r"^field_count *= *100$", text, re.M)


def test_a_list_set_twice_is_refused_with_both_lines(tmp_path):
    file = write(tmp_path, "listen = 127.0.0.1:1\n# a comment\nlisten = 127.0.0.1:2\n")
    for arguments in (("-c", file, "-t"), ("-c", file)):
        result = run(*arguments)
        assert result.returncode != 0
        assert re.search(rf"^{re.escape(str(file))}:3: listen: .*line 1\b.*\+=", result.stderr, re.M), result.stderr


def test_lists_are_added_to(tmp_path):
    file = write(tmp_path, "deny = .a\ndeny += {.b, .c}\n")
    assert 'deny = {".a", ".b", ".c", ".d"}\n' in dump("-c", file, "-o", "deny+=.d")
    assert 'deny = {".d"}\n' in dump("-c", file, "-o", "deny=.d")


def test_all_unknown_names_are_reported(tmp_path):
    file = write(tmp_path, "nosuch = 1\nworkers = 1\nstore_sise = 1GiB\nother {\n a = b\n}\nworker = {1, 2}\n")
    result = run("-c", file, "-t", "-o", "neither=1", "-o", "nor=2")
    for place in (f"{file}:1: nosuch", f"{file}:3: store_sise", f"{file}:4: other", f"{file}:7: worker",
                  "-o neither", "-o nor"):
        assert f"{place}: no such option" in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 6, result.stderr


@pytest.mark.parametrize("setting", ['listen={127.0.0.1:1, "[::1]:2"}', "listen = 127.0.0.1:1,[::1]:2", "listen={127.0.0.1:1,[::1]:2,}",
                                     "listen = { '127.0.0.1:1' , '[::1]:2' }\r"])
def test_a_setting_as_in_a_file(setting):
    assert 'listen = {"127.0.0.1:1", "[::1]:2"}\n' in dump("-o", setting)


@pytest.mark.parametrize("encoded", [b"\xef\xbb\xbfworkers = 2\r\n", b"# x\rworkers = 2\r", b"\tworkers\t=\t2\t\r\n"])
def test_files_of_other_editors(tmp_path, encoded):
    file = tmp_path / "cache204.conf"
    file.write_bytes(encoded)
    assert "workers = 2\n" in dump("-c", file)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_that_are_no_utf8(tmp_path, encoding):
    file = tmp_path / "cache204.conf"
    file.write_bytes("workers = 2\n".encode(encoding))
    result = run("-c", file, "-t")
    assert result.returncode != 0 and "UTF-8" in result.stderr, result.stderr


def test_two_files_are_one_too_many(tmp_path):
    file = write(tmp_path, "")
    result = run("-c", file, "-c", file, "-t")
    assert result.returncode != 0 and str(file) in result.stderr and "-c" in result.stderr


def test_file_that_is_not_there(tmp_path):
    result = run("-c", tmp_path / "none", "-t")
    assert result.returncode != 0
    assert str(tmp_path / "none") in result.stderr


def test_help():
    result = run("--help")
    assert result.returncode == 0
    for text in ("-c", "-o", "-t", "-T", "--version", "listen", "store_size", "drain_timeout"):
        assert text in result.stdout


def test_version():
    result = run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"cache204 \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize("arguments", [["--nosuch"], ["-x"], ["word"], ["-o"], ["-c"]], ids=" ".join)
def test_bad_arguments(arguments):
    result = run(*arguments)
    assert result.returncode not in (0, None)
    assert result.stderr


def test_port_in_use_is_an_error(proxy):
    result = run("-o", f"listen=127.0.0.1:{proxy.port}", "-o", "admin=127.0.0.1:0",
                 "-o", f"store={proxy.directory}/other", "-o", "store_size=1MiB")
    assert result.returncode > 0
    assert str(proxy.port) in result.stderr


def test_options_take_effect_from_a_file(tmp_path, origin):
    file = write(tmp_path, 'uri_length = "100B"\n')
    proxy = Proxy(tmp_path / "p", start=False)
    proxy.arguments = ["-c", str(file)]
    try:
        with proxy.start().connect() as client:
            assert client.get(origin.url("/" + "x" * 200)).status == 414
        proxy.stop()
    finally:
        proxy.kill()
        proxy.remove()


def test_several_listeners(start_proxy, origin):
    proxy = start_proxy("listen=127.0.0.1:0,127.0.0.1:0")
    ports = {int(port) for line in proxy.output for port in re.findall(r"http://127\.0\.0\.1:(\d+)$", line)}
    assert len(ports) >= 1
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204


# What a start would refuse, beside the text of the configuration: each option, and words of the message.
REFUSED = {
    "tls_ca_file={tmp}/none": ("tls_ca_file", "none", "No such file"),
    "tls_ca_file={tmp}/empty": ("tls_ca_file", "empty", "no certificate"),
    "tls_ca_file={tmp}": ("tls_ca_file", "Is a directory"),
    "user=no-such-user": ("user", "no-such-user", "no such user"),
    "access_log={tmp}/none/log": ("access_log", "none/log", "No such file", "as user"),
    "access_log={tmp}/empty/log": ("access_log", "empty/log", "Not a directory"),
    "access_log={tmp}": ("access_log", "Is a directory"),
    "password_file={tmp}/none": ("none", "No such file"),
    "password_file={tmp}/empty": ("empty", "no user in it"),
    "store={tmp}/empty": ("store", "empty", "Not a directory"),
    "store={tmp}/empty/below": ("store", "below", "Not a directory"),
    "hosts_file={tmp}": ("hosts_file", "egular file"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_check_and_start_refuse_the_same_and_say_what_and_why(tmp_path, setting):
    (tmp_path / "empty").touch(mode=0o600)
    option = setting.format(tmp=tmp_path)
    others = [a for o in (f"store={tmp_path}/store", "listen=127.0.0.1:0", "admin=127.0.0.1:0", "store_size=1MiB")
              for a in ("-o", o)]
    for arguments in (("-t", *others, "-o", option), (*others, "-o", option)):
        result = run(*arguments)
        assert result.returncode != 0, arguments
        for word in REFUSED[setting]:
            assert word in result.stderr, (arguments, result.stderr)
    assert not (tmp_path / "none").exists()


def test_check_says_ok_and_makes_nothing(tmp_path):
    result = run("-t", "-o", f"store={tmp_path}/a/b", "-o", f"access_log={tmp_path}/log")
    assert result.returncode == 0 and result.stderr == "cache204: configuration ok\n", result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_check_looks_as_the_user_that_it_will_be(tmp_path):
    """The directory is root's alone, so that another user cannot have a log in it."""
    tmp_path.chmod(0o700)
    setting = ("-o", "user=nobody", "-o", f"access_log={tmp_path}/log", "-o", "store=/tmp")
    result = run("-t", *setting)
    assert result.returncode != 0
    assert str(tmp_path) in result.stderr and "(as user nobody)" in result.stderr
