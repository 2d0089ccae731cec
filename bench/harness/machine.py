"""The machine: cores, processes that end with the run, their CPU time and memory, and what it is."""

import ctypes
import os
import pathlib
import platform
import signal
import socket
import subprocess
import time

HZ = os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2  # the CPU time of a whole process, its ended threads too, in ns
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
STOP_S = 5.0
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something cannot be measured: with what to tell the user."""


# ---- cores --------------------------------------------------------------------------------------

def cores(count=1):
    """The cores of the load, and those of the server: the last `count`, and the first of all others."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failed("two cores are needed, one for the load and one for the server")
    return {usable[0]}, set(usable[1:][-count:])


def core_busy_s(core):
    """CPU time that this core has spent on anybody."""
    with open("/proc/stat", encoding="ascii") as stat:
        for line in stat:
            name, *ticks = line.split()
            if name == f"cpu{core}":
                user, nice, system, _, _, irq, softirq, *_ = map(int, ticks)
                return (user + nice + system + irq + softirq) / HZ
    raise Failed(f"no core {core} in /proc/stat")


# ---- processes ----------------------------------------------------------------------------------

def stat_of(pid):
    """The fields of /proc/PID/stat after the name, or None for a process that has gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def tree(root):
    """A process and all that descend from it, and no other."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = stat_of(pid)
        if stat:
            children.setdefault(int(stat[1]), []).append(int(pid))
    found = [root]
    for pid in found:  # a number that was used again meanwhile may be its own ancestor
        found += [child for child in children.get(pid, []) if child not in found]
    return found


def process_cpu_s(pid):
    try:
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def tree_cpu_s(root):
    """CPU time of a process tree: of each process with its threads, and of the children that have ended."""
    ended = 0
    for pid in tree(root):
        stat = stat_of(pid)
        ended += int(stat[13]) + int(stat[14]) if stat else 0
    return sum(map(process_cpu_s, tree(root))) + ended / HZ


def busiest(root):
    return max(tree(root), key=process_cpu_s)


def pin(root, allowed):
    """Threads that chose their own cores, as those of some servers do at their start, come back to these."""
    for pid in tree(root):
        for task in os.listdir(f"/proc/{pid}/task") if os.path.isdir(f"/proc/{pid}/task") else []:
            try:
                os.sched_setaffinity(int(task), allowed)
            except OSError:
                pass  # it has ended


def strayed_threads(root, allowed):
    """Names of processes with threads that may run on other cores than these."""
    names = set()
    for pid in tree(root):
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
            try:
                if not os.sched_getaffinity(int(task.name)) <= allowed:
                    names.add((task / "comm").read_text().strip())
            except OSError:
                pass
    return sorted(names)


def memory_kib(root):
    """Proportional set size of a process tree, so that what processes share is counted once; without files, of
    which the share is smaller while others on the machine have them mapped, too."""
    total = 0
    for pid in tree(root):
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def adopt_orphans():
    """What a server leaves behind becomes a child of this process, which ends it."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_real_time_allowed():
    return subprocess.run(["chrt", "-f", "1", "true"], check=False, capture_output=True).returncode == 0


def start(command, allowed, output, **options):
    """A process of the run on these cores, which does not outlive this one; output goes to a file."""
    def prepare():
        os.sched_setaffinity(0, allowed)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    with open(output, "ab") as to:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=to, stderr=to,
                                preexec_fn=prepare, start_new_session=True, **options)


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def until_ended(pids):
    """What they held is free then: to take gigabytes of memory back takes the kernel a while."""
    end = time.monotonic() + STOP_S
    while any((stat := stat_of(pid)) and stat[0] != "Z" for pid in pids) and time.monotonic() < end:
        time.sleep(0.01)


def stop(process):
    """Ends a process of the run with all that descend from it, by their ids."""
    pids = tree(process.pid)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
    kill(pids)
    process.wait()
    until_ended(pids)


def interrupt_once(*numbers):
    """The first of these signals is a KeyboardInterrupt; the next ones do not disturb what it cleans up."""
    def handle(number, frame):
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt
    for number in numbers:
        signal.signal(number, handle)


def stop_descendants():
    """Whatever is left of the run when it ends."""
    kill(tree(os.getpid())[1:])


def run_load(command, allowed, seconds, ready=None):
    """Status, output, error output and CPU time of a load generator on these cores. With `ready` it prints a
    line when it is, that is called, and a line has it begin."""
    def prepare():
        os.sched_setaffinity(0, allowed)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    before = os.times()
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=prepare) as load:
        try:
            if ready and load.stdout.readline():
                ready()
            out, err = load.communicate("\n" if ready else None, timeout=seconds)
        except BaseException as error:
            load.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                name = command[0].rpartition("/")[2]
                raise Failed(f"{name} did not end within {seconds:.0f} s") from None
            raise
    after = os.times()
    cpu_s = (after.children_user - before.children_user + after.children_system - before.children_system)
    return load.returncode, out, err.strip(), cpu_s


# ---- ports --------------------------------------------------------------------------------------

def free_port():
    """Below those that the kernel gives to connections, so that no connection takes it meanwhile."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as text:
        below = int(text.read().split()[0])
    for port in range(free_port.next, below):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        free_port.next = port + 1
        return port
    raise Failed("no port is free below those of connections")


free_port.next = 20000 + os.getpid() % 5000


def is_open(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


# ---- what it is ---------------------------------------------------------------------------------

def processor():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as text:
        for line in text:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.strip() or "none"


def describe():
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    return {"processor": processor(), "cores": os.cpu_count(), "memory_gib": round(memory_gib),
            "kernel": platform.release(), "system": system, "commit": commit(),
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "load_average": round(os.getloadavg()[0], 1)}
