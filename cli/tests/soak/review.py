#!/usr/bin/env python3
"""Soak test of `infomark review`: many clients edit points while the server is killed and started again.

    python3 cli/tests/soak/review.py target/debug/infomark --seconds 600

No edit that the server acknowledged may be lost: after every start, and at the end, each point has to be at the place and revision of its last
acknowledged edit, or at a later one. It needs Python 3.9 and its standard library, talks to 127.0.0.1 alone, works in a temporary folder and
ends by itself; exit code 1 means that an edit was lost or a request was answered in an unexpected way. The last line is a JSON object of figures.
"""

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SIDE = 64
LANDMARKS = [f"landmark {index}" for index in range(10)]
# Seconds that a start of the server, or an answer, may take.
PATIENCE = 120


class Server:
    """A running server."""

    def __init__(self, program, folder):
        command = [program, "review", "images", "--no-open", "--session", "session"]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        # A start that hangs is ended, and its line is then empty.
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        line = self.process.stdout.readline().strip()
        watch.cancel()
        if not line.startswith("http://127.0.0.1:"):
            raise SystemExit(f"the server did not start: {line or self.process.stderr.read()}")
        address, self.token = line[len("http://127.0.0.1:") :].split("/?token=")
        self.port = int(address)

    def ask(self, method, path, body=None):
        """Status and content of an answer; OSError or HTTPException where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"X-Infomark-Token": self.token})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def peak_mib(self):
        """Most memory that it held, in MiB; 0 where the system does not say."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), 0)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Soak:
    """What clients and the main thread share."""

    def __init__(self):
        self.lock = threading.Lock()
        self.server = None
        self.there = threading.Event()
        self.over = threading.Event()
        self.ids = {}
        # Of each point (image, landmark): its last acknowledged revision and place, and the revision that an edit has to name.
        self.acknowledged = {}
        self.bases = {}
        self.revisions = set()
        self.seconds = []
        self.counts = {"acknowledged": 0, "stale": 0, "cut off": 0}
        self.problems = []

    def problem(self, text):
        with self.lock:
            self.problems.append(text)
        self.over.set()

    def take(self, records):
        """Takes the revisions of points from a state."""
        with self.lock:
            for image, record in records.items():
                for landmark, spot in record["points"].items():
                    key = (image, landmark)
                    self.bases[key] = max(self.bases.get(key, 0), spot["revision"])

    def check(self, state):
        """Looks for acknowledged edits that a state lacks."""
        with self.lock:
            acknowledged = dict(self.acknowledged)
        for (image, landmark), (revision, at) in acknowledged.items():
            spot = state["records"].get(image, {"points": {}})["points"].get(landmark)
            if spot is None or spot["revision"] < revision or (spot["revision"] == revision and spot["at"] != at):
                self.problem(f"lost: {landmark} of {image}, revision {revision} at {at}; there is {spot}")
        return len(acknowledged)

    def edit(self, server, key, chance):
        image, landmark = key
        with self.lock:
            base = self.bases.get(key, 0)
        at = [round(chance.uniform(0, SIDE - 1), 3), round(chance.uniform(0, SIDE - 1), 3)]
        body = {"edits": [{"landmark": landmark, "at": at, "base": base}]}
        began = time.monotonic()
        try:
            status, told = server.ask("POST", f"/api/images/{self.ids[image]}/edit", body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Nothing is killed while clients are let in.
            if self.there.is_set() and server is self.server:
                self.problem(f"no answer from a server that runs: {error!r}")
            with self.lock:
                self.counts["cut off"] += 1
            return False
        took = time.monotonic() - began
        if status == 409:
            with self.lock:
                self.counts["stale"] += 1
            self.take(server.ask("GET", f"/api/state?since={base}")[1]["records"])
            return True
        if status != 200:
            self.problem(f"answered {status}: {told}")
            return False
        spot = told["record"]["points"][landmark]
        with self.lock:
            if spot["revision"] in self.revisions or spot["at"] != at:
                self.problems.append(f"answered with {spot} for {at} of {key}")
                self.over.set()
            self.revisions.add(spot["revision"])
            self.counts["acknowledged"] += 1
            self.seconds.append(took)
            if spot["revision"] > self.acknowledged.get(key, (0, None))[0]:
                self.acknowledged[key] = (spot["revision"], at)
            self.bases[key] = max(self.bases.get(key, 0), spot["revision"])
        return True

    def client(self, seed):
        chance = random.Random(seed)
        keys = [(image, landmark) for image in self.ids for landmark in LANDMARKS]
        while not self.over.is_set():
            if not self.there.wait(0.2):
                continue
            server = self.server
            try:
                answered = self.edit(server, chance.choice(keys), chance)
            except (OSError, http.client.HTTPException, ValueError):
                answered = False
            if not answered:
                # Killed: the next one comes.
                time.sleep(0.05)


def prepare(folder, images):
    """Makes grey images, each another."""
    (folder / "images").mkdir()
    for index in range(images):
        levels = bytes((3 * x + (5 + index) * y) % 256 for y in range(SIDE) for x in range(SIDE))
        (folder / "images" / f"{index:03}.pgm").write_bytes(b"P5\n%d %d\n255\n" % (SIDE, SIDE) + levels)


def begin(soak, server):
    """Waits for the images, and adds the landmarks."""
    deadline = time.monotonic() + PATIENCE
    while True:
        state = server.ask("GET", "/api/state")[1]
        listing = state["listing"] or []
        if listing and all(image.get("size") for image in listing):
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"the images were not listed within {PATIENCE} s: {listing[:3]}")
        time.sleep(0.2)
    soak.ids = {image["name"]: image["id"] for image in listing}
    for name in LANDMARKS:
        base = server.ask("GET", "/api/state")[1]["setup"]["revision"]
        status, told = server.ask("POST", "/api/setup", {"base": base, "change": {"add": {"name": name}}})
        if status != 200:
            raise SystemExit(f"{name} was not added: {told}")


def run(options, folder):
    prepare(folder, options.images)
    soak = Soak()
    end = time.monotonic() + options.seconds
    server = Server(options.program, folder)
    kills, checks, peak = 0, 0, 0
    try:
        begin(soak, server)
        clients = [threading.Thread(target=soak.client, args=(seed,), daemon=True) for seed in range(options.clients)]
        for client in clients:
            client.start()
        while True:
            soak.server = server
            soak.there.set()
            soak.over.wait(max(0.0, min(options.kill_every, end - time.monotonic())))
            done = soak.over.is_set() or time.monotonic() >= end
            soak.there.clear()
            peak = max(peak, server.peak_mib())
            # In the middle of the clients' edits, at the end, too.
            server.kill()
            kills += 1
            if options.plant_loss:
                journal = folder / "session" / "journal.jsonl"
                # More than the edits that a kill cuts off from their answers.
                journal.write_text("".join(journal.read_text().splitlines(True)[: -2 * options.clients]))
            server = Server(options.program, folder)
            state = server.ask("GET", "/api/state")[1]
            checks += soak.check(state)
            soak.take(state["records"])
            if done or soak.over.is_set():
                break
        soak.over.set()
        for client in clients:
            client.join(2 * PATIENCE)
        # What was acknowledged by the server that was killed last, too.
        soak.check(server.ask("GET", "/api/state")[1])
    finally:
        soak.over.set()
        server.kill()
    took = sorted(soak.seconds) or [0.0]
    figures = {
        "seconds": options.seconds,
        "clients": options.clients,
        "images": options.images,
        "landmarks": len(LANDMARKS),
        "kills": kills,
        **soak.counts,
        "points checked": checks,
        "problems": len(soak.problems),
        "median_ms": round(1000 * took[len(took) // 2], 1),
        "99_percent_ms": round(1000 * took[len(took) * 99 // 100], 1),
        "peak_mib": peak,
    }
    for problem in soak.problems[:10]:
        print(problem, file=sys.stderr)
    print(json.dumps(figures))
    return 1 if soak.problems or not soak.counts["acknowledged"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=lambda path: str(Path(path).resolve()), help="the program infomark")
    parser.add_argument("--seconds", type=float, default=60, help="how long clients edit [60]")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--kill-every", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--plant-loss", action="store_true", help="drop edits at each kill: the test has to fail")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(options, Path(folder)))


if __name__ == "__main__":
    main()
