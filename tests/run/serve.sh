#!/bin/bash
# likeness serve: answers as predict's, reasons for all that is refused, metrics that can be read, a TERM that loses nothing.
set -u
. "$LIKENESS_ROOT/tests/run/lib.bash"
make_faces
write_configs
works 1 train decoder.yaml
works 1 train encoder.yaml

start() { # [OPTIONS]: serves $model; $url, $server
  rm -f url
  "$LIKENESS" serve --model "${model:-encoder}" --port 0 --threads 2 "$@" >url 2>serve.log &
  server=$!
  until [ -s url ]; do
    kill -0 $server 2>/dev/null || { cp serve.log err.log; fail "serve $* does not start"; }
    sleep 0.05
  done
  url=$(cat url)
  export url
}
stop() { # ends the server, which must succeed
  kill -TERM $server
  wait $server || { cp serve.log err.log; fail "exit $? of the server"; }
}
trap '[ -z "${server:-}" ] || kill -9 $server 2>/dev/null' EXIT

# What the clients share: ask() for whole requests, connect() for what no library would send.
cat >client.py <<'PYTHON'
import base64, http.client, json, os, re, socket, struct, threading, time, zlib
host, port = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)/\n?", os.environ["url"] + "\n").groups()
def ask(path, body=None, method=None, **headers):
    connection = http.client.HTTPConnection(host, int(port), timeout=300)
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer
def refused(code, text, path, body=None, **how):
    status, answer, whole = ask(path, body, **how)
    error = json.loads(answer)["error"]
    assert status == code and text in error, (path, status, error)
    return whole
def connect():
    return socket.create_connection((host, int(port)), timeout=300)
def read_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data
def png(width, height, body=b""):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")

def metrics():
    """Prometheus' text format, strictly: every line, types before samples, no sample twice, histograms that add up."""
    status, body, answer = ask("/metrics")
    assert status == 200 and answer.getheader("Content-Type").startswith("text/plain; version=0.0.4"), answer.getheaders()
    text = body.decode("ascii")
    assert text.endswith("\n")
    types, samples, family = {}, {}, None
    for line in text[:-1].split("\n"):
        if found := re.fullmatch(r"# HELP ([a-z_]+) (\S.*)", line):
            family = found[1]
            assert family not in types, line
        elif found := re.fullmatch(r"# TYPE ([a-z_]+) (counter|gauge|histogram)", line):
            assert found[1] == family, line
            types[family] = found[2]
        else:
            found = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z_]+="[^"\\\n]*",?)+)\})? ([0-9.e+-]+)', line)
            assert found, line
            name, labels, value = found[1], found[2] or "", float(found[3])
            bare = re.sub(r"_(bucket|sum|count)$", "", name) if types[family] == "histogram" else name
            assert bare == family and not labels.endswith(","), line
            assert types[family] != "counter" or name.endswith("_total"), line
            assert (name, labels) not in samples, line
            samples[name, labels] = value
    for (name, labels), value in samples.items():
        if name.endswith("_count"):
            stem = name[:-6]
            buckets = [v for (n, l), v in samples.items() if n == stem + "_bucket" and (not labels or l.startswith(labels + ","))]
            assert buckets == sorted(buckets) and buckets[-1] == value and (stem + "_sum", labels) in samples, name
    try:
        from prometheus_client.parser import text_string_to_metric_families
        assert sum(len(f.samples) for f in text_string_to_metric_families(text)) == len(samples)
    except ImportError:
        pass
    return samples
def count(name, labels=""):
    return metrics().get(("likeness_" + name, labels), 0)
def wait_for(what):
    while not what():
        time.sleep(0.05)
PYTHON
clients() { # WHAT: a script on standard input
  python3 - >out.log 2>err.log || { cat serve.log; fail "$1"; }
}

# ---- the answers are predict's ----
mkdir crops
python3 - <<'PYTHON' || fail "crops"
import struct, zlib
chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
for k in range(8):
    row = lambda y: bytes((x * (k + 3) + y * (x + k) + 40 * c) % 256 for x in range(32) for c in range(3))
    rows = b"".join(b"\0" + row(y) for y in range(32))
    open(f"crops/{k}.png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
                                       chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
works 1 predict crops --aligned --model encoder -o predicted
cp out.log predicted.jsonl
works 1 predict crops/0.png --aligned --model encoder -o single --threads 2 # pictures are the same bytes in batches of one size
start
clients "eight clients at once" <<'PYTHON'
from client import *
lines = [json.loads(line) for line in open("predicted.jsonl")]
wrong = []
def client(k):
    try:
        for turn in range(6):
            line = lines[(k + turn) % 8]
            status, body, answer = ask("/v1/predict?aligned=true&picture=crop,decoded,client,triptych",
                                       open("crops/" + line["photo"], "rb").read())
            said = json.loads(body)
            assert status == 200 and set(said) == {"continuous", "discrete", "certainty", "pictures"}, body
            for name, value in line["continuous"].items():
                assert abs(said["continuous"][name] - value) < 1e-5, name
            assert said["discrete"] == line["discrete"]
            assert all(abs(said["certainty"][g] - c) < 1e-5 for g, c in line["certainty"].items())
            files = {"crop": None, "decoded": "-decoded", "client": "-client", "triptych": ""}
            assert set(said["pictures"]) == set(files)
            open(f"said-{k}-{turn}.png", "wb").write(base64.b64decode(said["pictures"]["client"], validate=True))
    except Exception as error:
        wrong.append(repr(error))
threads = [threading.Thread(target=client, args=(k,)) for k in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
assert not wrong, wrong
assert count("requests_total", 'path="/v1/predict",code="200"') == 48
assert metrics()["likeness_batch_faces_sum", ""] == 48
said = json.loads(ask("/v1/predict?aligned=true&picture=triptych", open("crops/0.png", "rb").read())[1])
assert base64.b64decode(said["pictures"]["triptych"]) == open("single/0.png", "rb").read()
assert base64.b64decode(json.loads(ask("/v1/predict?aligned=true&picture=client", open("crops/0.png", "rb").read())[1])
                        ["pictures"]["client"]) == open("single/0-client.png", "rb").read()

# Parameters, as they were answered and as they lie in files, are drawn as `likeness render` draws them.
parameters = open("single/0.json", "rb").read()
status, picture, answer = ask("/v1/render", json.dumps(said).encode())
assert status == 200 and answer.getheader("Content-Type") == "image/png"
assert picture == ask("/v1/render", parameters)[1]
open("rendered.png", "wb").write(picture)
assert ask("/v1/mhm", parameters)[1] == open("single/0.mhm", "rb").read()

schema = json.loads(ask("/v1/schema")[1])
assert [c["name"] for c in schema["continuous"]] == list(said["continuous"])
assert all(said["discrete"][g["name"]] in g["choices"] for g in schema["discrete"])
assert schema["pictures"] == ["crop", "decoded", "client", "triptych"] and schema["crop_size"] == 32

status, page, answer = ask("/")
assert status == 200 and b"<title>likeness</title>" in page
assert "default-src 'none'" in answer.getheader("Content-Security-Policy")
for name in re.findall(rb'(?:href|src)="(page\.[a-z]+)"', page):
    assert ask("/" + name.decode())[0] == 200
assert not re.search(rb'(?:href|src)="(?!page\.|data:)', page), "the page loads something from elsewhere"
assert ask("/healthz")[0] == 200 and ask("/healthz", method="HEAD")[1] == b""
PYTHON
works 1 render single/0.json -o again.png --size 256
cmp again.png rendered.png || fail "/v1/render draws another face"

# ---- what is refused ----
clients "refusals" <<'PYTHON'
from client import *
refused(400, "the body is empty", "/v1/predict", b"")
refused(400, "is neither a PNG nor a JPEG", "/v1/predict", b"What a lovely face.")
crop = open("crops/0.png", "rb").read()
refused(400, "the photo", "/v1/predict", crop[:700])
refused(400, "the photo", "/v1/predict?aligned=true", crop[:700])
refused(413, "at most 50000000 are read (--max-pixels)", "/v1/predict", png(65500, 65500))
refused(422, "no face was found", "/v1/predict", png(200, 200, (b"\0" + bytes(600)) * 200))
assert json.loads(ask("/v1/predict", png(200, 200, (b"\0" + bytes(600)) * 200))[1])["reason"] == "no face"
refused(400, "an aligned crop is square", "/v1/predict?aligned=true", png(64, 32, (b"\0" + bytes(192)) * 32))
refused(400, "?alinged: there is no such key", "/v1/predict?alinged=true", crop)
refused(400, "?picture=me: there are crop", "/v1/predict?picture=me", crop)
refused(400, "must be true or false", "/v1/predict?aligned", crop)
refused(400, r"\xff", "/v1/predict?picture=%FF%22", crop)
refused(400, "takes no query", "/healthz?x=1")
refused(400, "takes no body", "/healthz", b"x", method="GET")
refused(404, "there is no /v2", "/v2")
assert refused(405, "use POST", "/v1/predict").getheader("Allow") == "POST"
assert refused(405, "use GET", "/metrics", b"x").getheader("Allow") == "GET, HEAD"
refused(415, "gzip", "/v1/predict", crop, Content_Encoding="gzip")
refused(415, "--data-binary", "/v1/predict", crop, Content_Type="multipart/form-data; boundary=x")
refused(400, "the body is empty", "/v1/render", b"")
refused(400, "no JSON", "/v1/render", b'{"continuous": ')
refused(400, 'must be {"continuous"', "/v1/render", b"[]")
refused(400, "unknown key 'certain'", "/v1/mhm", b'{"continuous": {}, "discrete": {}, "certain": 1}')
face = json.load(open("single/0.json"))
first = next(iter(face["continuous"]))
face["continuous"][first] = 1e9
refused(400, first, "/v1/render", json.dumps(face).encode())
refused(413, "more than 524288 bytes", "/v1/render", b" " * 600000)
# Names: what DNS rebinding and other pages would send.
refused(421, "not called 'evil.example'", "/", Host="evil.example")
refused(421, "not called", "/healthz", Host="127.0.0.1.evil.example:80")
assert ask("/healthz", Host="LOCALHOST:1234")[0] == 200
refused(403, "http://evil.example", "/v1/predict", crop, Origin="http://evil.example")
refused(403, "null", "/v1/predict", crop, Origin="null")
assert ask("/v1/predict?aligned=true", crop, Origin=f"http://{host}:{port}")[0] == 200
# 100 MB: said at once to who asks first, and, to who does not, without keeping it.
refused(413, "(--max-body)", "/v1/predict", b"\0" * (100 << 20))
s = connect()
s.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: 104857600\r\nExpect: 100-continue\r\n\r\n".encode())
assert read_all(s).startswith(b"HTTP/1.1 413")
s = connect()
s.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
for _ in range(30):
    s.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
s.sendall(b"0\r\n\r\n")
assert s.recv(100).startswith(b"HTTP/1.1 413")
# Half-closed: who has asked gets the answer.
s = connect()
s.sendall(f"POST /v1/predict?aligned=true HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(crop)}\r\n\r\n".encode() + crop)
s.shutdown(socket.SHUT_WR)
assert s.recv(100).startswith(b"HTTP/1.1 200")
wait_for(lambda: count("requests_in_flight") == 1)
assert count("photos_without_face_total") == 2
PYTHON
[ ! -s serve.log ] || grep -qv warning serve.log || fail "$(cat serve.log)"
stop

# ---- who is slow, and who are too many ----
start --seconds 1 --connections 40 --queue 2
clients "slow clients" <<'PYTHON'
from client import *
def trickle(s, data):
    try:
        for byte in data:
            s.sendall(bytes([byte]))
            time.sleep(0.1)
    except OSError:
        pass
begun = [f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n".encode(), b"GET / HTTP/1.1\r\nX-Y: "]
for head in begun:
    s = connect()
    s.sendall(head)
    sender = threading.Thread(target=trickle, args=(s, b"x" * 900))
    start = time.monotonic()
    sender.start()
    answer = read_all(s)
    assert answer.startswith(b"HTTP/1.1 408") and b'{"error":"the request was not complete after 1 s' in answer, answer
    assert time.monotonic() - start > 0.9
    sender.join()
silent = connect()
assert read_all(silent).startswith(b"HTTP/1.1 408")
half = connect() # closes its half before it has sent what it announced
half.sendall(begun[0] + b"x" * 10)
half.shutdown(socket.SHUT_WR)
late = read_all(half) # libmicrohttpd gives it up where it sees the end; a busy one only when the time is over
assert not late or late.startswith(b"HTTP/1.1 408"), late
assert count("timeouts_total") == 3 + bool(late)
wait_for(lambda: count("aborted_requests_total") == 2 and count("requests_in_flight") == 1)
# An answer ends what was owed: a connection that is kept is closed without a word.
s = connect()
s.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
assert b"408" not in read_all(s)
PYTHON
clients "a thousand connections" <<'PYTHON'
from client import *
open_now = []
for _ in range(1000):
    open_now.append(connect())
got = [read_all(s) for s in open_now] # each is refused, or late
late = sum(a.startswith(b"HTTP/1.1 408") for a in got)
assert all(not a or a.startswith(b"HTTP/1.1 408") for a in got) and late > 0
[s.close() for s in open_now]
wait_for(lambda: count("connections") == 1)
assert count("refused_connections_total") == 1000 - late, (late, count("refused_connections_total"))
assert ask("/healthz")[0] == 200
PYTHON
stop

# ---- a client that is not ours: slow, so that the queue fills; wrong, so that it fails ----
cat >slow-client <<'SHELL'
#!/bin/sh
[ -e wrong ] && exit 3
while [ -e hold ]; do sleep 0.05; done
cp predicted/0-client.png "$2"
SHELL
chmod +x slow-client
mkdir private
TMPDIR=$PWD/private start --client './slow-client {params} {picture}' --client-seconds 3600 --queue 3 --size 32 --seconds 3600
[ "$(ls private | wc -l)" = 1 ] || fail "no private folder"
touch hold
clients "a full queue" <<'PYTHON'
from client import *
face = open("single/0.json", "rb").read()
answers = []
def client():
    answers.append(ask("/v1/render", face))
threads = [threading.Thread(target=client, daemon=True) for _ in range(25)] # 16 workers and 3 places
[t.start() for t in threads]
wait_for(lambda: count("queue_length") == 3 and len(answers) == 6)
assert all(status == 503 and b"--queue" in body and answer.getheader("Retry-After") for status, body, answer in answers), answers
os.remove("hold")
[t.join() for t in threads]
assert sum(status == 200 for status, _, _ in answers) == 19
assert all(body == open("predicted/0-client.png", "rb").read() for status, body, _ in answers if status == 200)
open("wrong", "w").close()
refused(502, "the game client did not draw the face", "/v1/render", face)
os.remove("wrong")
PYTHON
grep -q "warning: a request: --client './slow-client {params} {picture}' ended with exit code 3" serve.log ||
  fail "$(cat serve.log)"

# ---- TERM answers what is in flight, lets nobody in, and leaves nothing ----
touch hold
clients "TERM" <<PYTHON
import os, signal
from client import *
face = open("single/0.json", "rb").read()
answers = []
threads = [threading.Thread(target=lambda: answers.append(ask("/v1/render", face)[0]), daemon=True) for _ in range(4)]
[t.start() for t in threads]
wait_for(lambda: count("requests_in_flight") == 5)
late = connect()
late.sendall(f"POST /v1/render HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(face)}\r\n\r\n".encode() + face[:10])
wait_for(lambda: count("requests_in_flight") == 6)
os.kill($server, signal.SIGTERM)
def refuses():
    try:
        connect().close()
        return False
    except ConnectionResetError: # it waited to be let in while the door was closed
        return False
    except ConnectionRefusedError:
        return True
wait_for(refuses)
os.kill($server, 0)
assert not answers
late.sendall(face[10:]) # was let in before
os.remove("hold")
[t.join() for t in threads]
assert answers == [200] * 4, answers
assert late.recv(100).startswith(b"HTTP/1.1 200")
PYTHON
wait $server || fail "exit $? after TERM"
server=
[ -z "$(ls private)" ] || fail "left: $(ls private)"

# ---- without decoder or client; another place; what the command line gets wrong ----
cp encoder/model.safetensors alone.safetensors
model=alone.safetensors LIKENESS_CLIENT=nowhere start --address ::1 --host a.example,b.example
grep -qE '^http://\[::1\]:[0-9]+/$' url || fail "the URL: $(cat url)"
python3 - "$(cat url)" <<'PYTHON' >out.log 2>err.log || fail "a file alone"
import http.client, json, re, sys
port = int(re.search(r":(\d+)/", sys.argv[1])[1])
def ask(path, body=None, **headers):
    connection = http.client.HTTPConnection("::1", port)
    connection.request("POST" if body else "GET", path, body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
assert ask("/v1/schema")[1]["pictures"] == ["crop", "triptych"]
crop = open("crops/0.png", "rb").read()
assert ask("/v1/predict?aligned=true&picture=triptych", crop)[0] == 200
status, said = ask("/v1/predict?aligned=true&picture=decoded", crop)
assert status == 404 and "no decoder" in said["error"]
status, said = ask("/v1/render", open("single/0.json", "rb").read())
assert status == 404 and "no client" in said["error"]
assert ask("/healthz", Host="b.example")[0] == 200 and ask("/healthz", Host="c.example")[0] == 421
PYTHON
port=$(sed -E 's/.*:([0-9]+)\/$/\1/' url)
refused 70 "port $port: Address already in use; --port chooses another" serve --model encoder --address ::1 --port "$port"
stop
model=alone.safetensors LIKENESS_CLIENT=nowhere start --address ::ffff:127.0.0.1 # this machine alone, in IPv6's words
python3 - "$url" <<'PYTHON' || fail "who may call $url"
import http.client, re, sys
host, port = re.fullmatch(r"http://\[(.*)\]:(\d+)/", sys.argv[1]).groups()
for name, wanted in {f"[{host}]": 200, "localhost": 200, "c.example": 421}.items():
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("GET", "/healthz", None, {"Host": name})
    assert connection.getresponse().status == wanted, name
PYTHON
stop
server=
refused 64 "--address here: " serve --model encoder --address here --port 0
refused 64 "has no {picture}" serve --model encoder --port 0 --client 'draw {params}'
refused 65 "nowhere: there is no such file" serve --model nowhere --port 0
refused 65 "is a decoder" serve --model decoder --port 0
refused 64 "--max-body" serve --model encoder --max-body 0

# ---- real photos, aligned ----
if photos=$("$LIKENESS_ROOT/tests/photos" 2>&1); then
  works 1 predict "$photos"/{obama,obama2,single_face}.jpg --model encoder -o from-photos
  cp out.log photos.jsonl
  start
  PHOTOS=$photos clients "real photos" <<'PYTHON'
from client import *
for line in map(json.loads, open("photos.jsonl")):
    status, body, answer = ask("/v1/predict", open(line["photo"], "rb").read())
    said = json.loads(body)
    assert status == 200 and said["discrete"] == line["discrete"], body
    assert all(abs(said["continuous"][name] - value) < 1e-5 for name, value in line["continuous"].items())
    assert set(said["quality"]) == {"enlarge", "turn", "roll", "sharpness", "outside"}
refused(422, "too far to the side", "/v1/predict", open(os.environ["PHOTOS"] + "/45-m7-di-ph.jpg", "rb").read())
PYTHON
  stop
  server=
else
  echo "SKIPPED: real photos: $photos"
fi
echo "ok"
