"""What every bench needs: a PostgreSQL of its own, processor time and memory read from /proc, scrapes."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

BINDIR = pathlib.Path(os.environ.get("PGTEND_BENCH_BINDIR", "/usr/lib/postgresql/15/bin"))
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def as_postgres():
    """PostgreSQL refuses to run as root; what it needs to run as somebody else."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class Cluster:
    """A PostgreSQL in a temporary directory, gone with the `with` block."""

    def __init__(self, settings, *initdb):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgtend-bench-", dir="/tmp"))
        self.data = self.directory / "data"
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        run = as_postgres()
        subprocess.run([BINDIR / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync", *initdb], check=True,
                       stdout=subprocess.DEVNULL, cwd="/", **run)
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        lines += [f"port = {self.port}", f"unix_socket_directories = '{self.directory}'", "listen_addresses = '127.0.0.1'"]
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        subprocess.run([BINDIR / "pg_ctl", "-D", self.data, "-l", self.directory / "log", "-w", "start"], check=True,
                       stdout=subprocess.DEVNULL, cwd="/", **run)
        self.postmaster = int((self.data / "postmaster.pid").read_text().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.postmaster, signal.SIGQUIT)
        except ProcessLookupError:
            pass  # a bench that reads files stopped it itself
        while pathlib.Path(f"/proc/{self.postmaster}").exists():
            time.sleep(0.1)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def dsn(self):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    @property
    def uri(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def sql(self, text):
        return subprocess.run([BINDIR / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.dsn], input=text, check=True, text=True,
                              capture_output=True).stdout

    def pgbench(self, *arguments):
        return subprocess.run([BINDIR / "pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *arguments, "postgres"],
                              check=True, text=True, capture_output=True).stdout

    def cpu_seconds(self):
        """Of the postmaster, its children, and the children that have ended: nothing is lost when a backend exits."""
        total = 0
        for pid in [self.postmaster, *children(self.postmaster)]:
            fields = stat(pid)
            if fields:
                total += sum(int(field) for field in (fields[11:15] if pid == self.postmaster else fields[11:13]))
        return total / TICKS


def stat(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(parent):
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid in pids if (fields := stat(pid)) and int(fields[1]) == parent]


class Process:
    """A program under measurement."""

    def __init__(self, command, environment=None):
        self.log = tempfile.NamedTemporaryFile(prefix="pgtend-bench-", suffix=".log")
        self.popen = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **(environment or {})})
        self.peak_mb = self.peak_private_mb = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.terminate()
        self.popen.wait()

    def cpu_seconds(self):
        fields = stat(self.popen.pid)
        if fields is None:
            raise SystemExit(f"the process under measurement ended:\n{pathlib.Path(self.log.name).read_text()[-2000:]}")
        return sum(int(field) for field in fields[11:13]) / TICKS

    def look_at_memory(self):
        """Notes how much is resident now, and how much of that belongs to this process alone."""
        lines = pathlib.Path(f"/proc/{self.popen.pid}/status").read_text().splitlines()
        figures = {name: int(value.split()[0]) / 1024 for name, _, value in (line.partition(":") for line in lines) if name in ("VmRSS", "RssAnon")}
        self.peak_mb = max(self.peak_mb, figures["VmRSS"])
        self.peak_private_mb = max(self.peak_private_mb, figures["RssAnon"])


def scrape(url):
    """Seconds, bytes and series of one scrape."""
    began = time.monotonic()
    size = series = 0
    with urllib.request.urlopen(url, timeout=60) as answer:
        while chunk := answer.read(1 << 20):
            size += len(chunk)
            series += chunk.count(b"\n")
    return time.monotonic() - began, size, series


def wait_for(url, seconds=30):
    until = time.monotonic() + seconds
    while True:
        try:
            return scrape(url)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def median(values):
    return statistics.median(values) if values else float("nan")
