#!/bin/bash
# How likeness serve holds up: clients that ask one after the other for some time. Prints how many answers there were, how many of
# them were errors, how long they took, and what the server's memory was at the begin and at the end.
# usage: tests/bench/serve.sh PROGRAM --model MODEL [OPTIONS OF SERVE]
# FOR=60           how long, in seconds; CLIENTS=8 at once; PHOTO=FILE is what they send (a face of the client, 640 pixels)
# Each client asks for parameters, in every fourth request for the triptych too, in every eighth for a render.
set -eu -o pipefail
program=$(realpath "$1")
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/likeness-bench-XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
photo=${PHOTO:-$work/photo.png}

"$program" serve "$@" --port 0 >"$work/url" 2>"$work/log" &
server=$!
until [ -s "$work/url" ]; do
  kill -0 $server 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
python3 - "$(cat "$work/url")" "$work/face.json" <<'PYTHON'
import json, sys, urllib.request
schema = json.load(urllib.request.urlopen(sys.argv[1] + "v1/schema"))
json.dump({"continuous": {c["name"]: c["default"] for c in schema["continuous"]},
           "discrete": {g["name"]: g["choices"][0] for g in schema["discrete"]}}, open(sys.argv[2], "w"))
PYTHON
[ -n "${PHOTO:-}" ] || "$program" render "$work/face.json" -o "$photo" --size 640 --view varied --seed 1

python3 - "$(cat "$work/url")" "$photo" "$work/face.json" "${FOR:-60}" "${CLIENTS:-8}" <<'PYTHON'
import http.client, re, sys, threading, time, urllib.request
url, photo, face, seconds, clients = sys.argv[1], open(sys.argv[2], "rb").read(), open(sys.argv[3], "rb").read(), \
    float(sys.argv[4]), int(sys.argv[5])
host = re.fullmatch(r"http://(.*)/", url)[1]
def metric(name):
    page = urllib.request.urlopen(url + "metrics").read().decode()
    return float(re.search(f"^{name} (.*)$", page, re.M)[1])
times, errors, lock = [], [], threading.Lock()
def client(until):
    connection, turn = http.client.HTTPConnection(host, timeout=120), 0
    while time.monotonic() < until:
        path, body = ("/v1/render", face) if turn % 8 == 7 else \
            ("/v1/predict?picture=triptych", photo) if turn % 4 == 0 else ("/v1/predict", photo)
        turn += 1
        start = time.monotonic()
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            said = answer.read()
            wrong = None if answer.status == 200 else f"{answer.status} {said[:200]}"
        except OSError as error:
            wrong = repr(error)
            connection = http.client.HTTPConnection(host, timeout=120)
        with lock:
            times.append(time.monotonic() - start)
            if wrong:
                errors.append(wrong)
def run(seconds):
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=(until,)) for _ in range(clients)]
    [t.start() for t in threads], [t.join() for t in threads]
run(min(15, seconds / 4)) # what the first requests make is there once
begin = metric("process_resident_memory_bytes")
times.clear()
run(seconds)
end = metric("process_resident_memory_bytes")
faces, batches = metric("likeness_batch_faces_sum"), metric("likeness_batch_faces_count")
times.sort()
at = lambda share: times[min(len(times) - 1, int(share * len(times)))] * 1e3
print(f"{clients} clients, {seconds:.0f} s: {len(times)} answers ({len(times) / seconds:.1f} a second), {len(errors)} errors, "
      f"p50 {at(.5):.0f} ms, p99 {at(.99):.0f} ms, longest {times[-1] * 1e3:.0f} ms; "
      f"{faces / batches:.2f} faces a pass; resident {begin / 1e6:.0f} MB, then {end / 1e6:.0f} MB")
for error in sorted(set(errors))[:5]:
    print(f"  {error}")
sys.exit(1 if errors else 0)
PYTHON
kill -TERM $server
wait $server
server=
