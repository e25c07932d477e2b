"""What the service does under load: is everything that it accepts answered once, and how fast?

``python -m tests.benchmarks.service_load [--kill]`` starts a server on loopback and lets 20 clients
submit 200 diagnoses of a script that trains for about a second, as fast as they can, to a queue of
50. Each client then asks twice a second how its own jobs are. With ``--kill`` the server gets
SIGKILL when a third of the jobs have ended, and is started again; clients that had no answer ask
again with the same key.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SCRIPT = """
import time
import torch

torch.manual_seed(0)
inputs = torch.randn(256, 8)
targets = inputs @ torch.randn(8, 1)
net = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(100):
    loss = torch.nn.functional.mse_loss(net(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    time.sleep(0.008)
    if step % 10 == 0:
        print(f"loss={loss.item():.5f}")
"""
_THINK = 0.5
_ENDED = ("done", "failed", "cancelled")


@dataclass
class Tally:
    """What the clients have seen."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry: int = 0
    broken: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    reads: list[float] = field(default_factory=list)
    submissions: list[float] = field(default_factory=list)


class Server:
    """The server process, which can be killed and started again at the same port."""

    def __init__(self, folder: Path, queue: int) -> None:
        self._folder, self._queue = folder, queue
        self.port = 0
        self.start()

    def start(self) -> None:
        log = self._folder / "log"
        command = "import sys; from agent.cli import main; sys.exit(main())"
        options = ["--root", str(self._folder), "--port", str(self.port), "--rate", "10000"]
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", command, "serve", *options, "--queue", str(self._queue)],
                env=os.environ | {"AGENT_HOME": str(self._folder / "home")},
                stderr=file,
            )
        while (found := re.search(r":(\d+)/v1", log.read_text())) is None:
            time.sleep(0.1)
        self.port = int(found[1])

    def wait(self) -> None:
        """Wait until there are workers."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while ask(link, "GET", "/readyz")[0] != 200:
            time.sleep(0.5)

    def memory(self) -> tuple[float, float]:
        """MiB of the server, and of its largest worker."""
        server = psutil.Process(self.process.pid)
        own = server.memory_info().rss / 2**20
        workers = [
            child.memory_info().rss / 2**20
            for child in server.children()
            if "agent.service.worker" in child.cmdline()
        ]
        return own, max(workers, default=0.0)


def ask(
    link: http.client.HTTPConnection, method: str, path: str, body: Any = None, key: str = ""
) -> tuple[int, dict[str, str], Any]:
    """Ask once; connects by itself."""
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    try:
        link.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = link.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read())
    except BaseException:
        link.close()
        raise


def client(server: Server, tally: Tally, submissions: int, over: threading.Event) -> None:
    """Submit, then ask until all that was accepted has ended."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    mine: list[str] = []
    for _ in range(submissions):
        key = uuid.uuid4().hex
        while not over.is_set():
            began = time.perf_counter()
            try:
                asked = {"script": "quick.py", "observe": True, "fresh": True}
                status, headers, told = ask(link, "POST", "/v1/jobs", asked, key)
            except (OSError, http.client.HTTPException):
                with tally.lock:
                    tally.broken += 1
                time.sleep(0.5)
                continue
            with tally.lock:
                tally.submissions.append(time.perf_counter() - began)
                tally.statuses[status] += 1
                tally.without_retry += status == 429 and "retry-after" not in headers
                if status in (200, 202):
                    tally.accepted[told["id"]] = key
                    mine.append(told["id"])
            break
        time.sleep(random.random() * _THINK)
    while (left := [job for job in mine if job not in tally.ended]) and not over.is_set():
        job = random.choice(left)
        began = time.perf_counter()
        try:
            status, _, told = ask(link, "GET", f"/v1/jobs/{job}")
        except (OSError, http.client.HTTPException):
            with tally.lock:
                tally.broken += 1
            time.sleep(1.0)
            continue
        with tally.lock:
            tally.reads.append(time.perf_counter() - began)
            if status != 200:
                tally.statuses[status] += 1
            elif told["state"] in _ENDED:
                tally.ended[job] = told
        time.sleep(_THINK * (0.5 + random.random()))


def quantile(values: list[float], share: float) -> str:
    """A quantile in milliseconds."""
    ordered = sorted(values)
    return f"{1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.0f} ms"


def run(options: argparse.Namespace, folder: Path) -> bool:
    """Run it, and tell; whether all is as it should be."""
    (folder / "quick.py").write_text(SCRIPT)
    server, tally, over = Server(folder, options.queue), Tally(), threading.Event()
    server.wait()
    began, killed, memory = time.monotonic(), False, [server.memory()]
    each = options.submissions // options.clients
    threads = [
        threading.Thread(target=client, args=(server, tally, each, over), daemon=True)
        for _ in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            time.sleep(5.0)
            if options.kill and not killed and len(tally.ended) >= len(tally.accepted) / 3:
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                killed = True
                server.start()
                print(f"killed and started again after {len(tally.ended)} jobs", flush=True)
            memory.append(server.memory())
        return tell(server, tally, memory, time.monotonic() - began)
    finally:
        over.set()
        server.process.terminate()
        server.process.wait(90)


def tell(server: Server, tally: Tally, memory: list[tuple[float, float]], seconds: float) -> bool:
    """Print the figures; whether all is as it should be."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    jobs = {job["id"]: job for job in ask(link, "GET", "/v1/jobs?limit=200")[2]["jobs"]}
    ends = Counter[int]()
    for job in jobs:
        link.request("GET", f"/v1/jobs/{job}/events")
        text = link.getresponse().read().decode()
        ends[len(re.findall(r'"state": "(?:done|failed|cancelled)"', text))] += 1
    diagnoses = sum(ask(link, "GET", f"/v1/jobs/{job}/diagnosis")[0] == 200 for job in jobs)
    print(f"submissions: {dict(tally.statuses)}, {tally.broken} connections broken")
    print(f"429 without Retry-After: {tally.without_retry}")
    print(f"accepted: {len(tally.accepted)}, in the database: {len(jobs)}")
    print(f"ended: {dict(Counter(job['state'] for job in tally.ended.values()))}")
    print(f"ends per job: {dict(ends)}, diagnoses: {diagnoses}")
    print(f"attempts: {dict(Counter(job['attempts'] for job in jobs.values()))}")
    for name, values in ("status reads", tally.reads), ("submissions", tally.submissions):
        told = ", ".join(f"p{share} {quantile(values, share / 100)}" for share in (50, 95, 99))
        print(f"{name}: {len(values)}, {told}, longest {quantile(values, 1.0)}")
    for name, place in ("server", 0), ("worker", 1):
        told = ", ".join(f"{memory[at * (len(memory) - 1) // 4][place]:.0f}" for at in range(5))
        print(f"MiB of the {name} over time: {told}")
    print(f"{seconds:.0f} s, {seconds / max(1, len(jobs)):.1f} s a job", flush=True)
    same = set(tally.accepted) == set(jobs) == set(tally.ended)
    clean = set(tally.statuses) <= {200, 202, 429} and not tally.without_retry
    return same and clean and set(ends) == {1} and diagnoses == len(jobs)


def main() -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--queue", type=int, default=50)
    parser.add_argument("--kill", action="store_true", help="kill the server in the middle")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agent-load-") as folder:
        fine = run(options, Path(folder))
    print("all accepted jobs were answered once" if fine else "NOT as it should be")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
