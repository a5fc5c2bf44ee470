# likeness report and sweep status on real runs: a decoder, encoders of two lambdas and two seeds, one damaged, one in training.
set -u -o pipefail
. "$LIKENESS_ROOT/tests/run/lib.bash"
export OMP_NUM_THREADS=1

works 1 render --random 64 --size 32 --view canonical -o train
works 1 render --random 16 --start 1000 --size 32 --view canonical -o val
cat >common.yaml <<'END'
run: {dir: none}
data: {train: [train], val: val, threads: 1}
model: {size: 32, encoder: {width: 0.0625}, decoder: {width: 0.0625, weights: decoder}}
optimizer: {warmup_steps: 0, lr: 1.0e-3}
train: {global_batch: 8, micro_batch: 8, steps: 20, precision: f32, threads: 1}
validate: {samples: 4}
END
train() { works 1 train common.yaml "$@"; }
train --set train.stage=decoder --set model.decoder.weights=none --set run.dir=decoder
for lambda in 0.5 2; do
  for seed in 1 2; do
    run="sweep/lambda-$lambda <&' \"/seed-$seed"
    mkdir -p "$(dirname "$run")"
    train --set loss.lambda=$lambda --set run.seed=$seed --set "run.dir=run"
    mv run "$run"
    works 1 evaluate "$run"
  done
done
damaged="sweep/lambda-2 <&' \"/seed-2"
rm "$damaged/DONE"
printf '\0<script>alert(1)</script>\n{"kind":"tr' >>"$damaged/metrics.jsonl"
touch -d 2000-01-01 "$damaged/metrics.jsonl"
cp -r "$damaged" sweep/now # begun a moment ago
sed -i 's/lambda: 2/lambda: 7/' sweep/now/config.yaml
rm -r sweep/now/report
touch sweep/now/metrics.jsonl
mkdir sweep/waits # planned
sed 's/seed: 2/seed: 3/' sweep/now/config.yaml >sweep/waits/config.yaml

works 1 sweep status sweep
cat out.log
says '^6 points: 3 done, 1 running, 1 unfinished, 1 not begun$'
"$LIKENESS" report sweep decoder >report.log 2>&1 || { cat report.log; fail "report"; }
grep -qx 'sweep/report.html' report.log || fail "the page is not named"
[ "$(grep -c 'left out 1 damaged line' report.log)" = 2 ] || fail "the damaged lines are not named"
works 1 report "sweep/lambda-0.5 <&' \"/seed-1" -o one.html

cat >check.py <<'END'
import glob, json, re, sys
from html.parser import HTMLParser
from xml.dom import minidom

VOID = {"meta", "link", "br", "img", "hr", "input"}

class Page(HTMLParser):  # every tag is closed in order; scripts, references and identifiers are collected
    def __init__(self, text):
        super().__init__()
        self.stack, self.ids, self.links, self.scripts, self.text = [], [], [], 0, ""
        self.feed(text); self.close()
        assert not self.stack, self.stack
    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if "id" in a: self.ids.append(a["id"])
        if "href" in a: self.links.append(a["href"])
        assert "src" not in a and not any(k.startswith("on") for k in a), (tag, a)
        self.scripts += tag == "script"
        if tag not in VOID: self.stack.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID: self.stack.pop()
    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1] == tag, (tag, self.stack, self.getpos())
        self.stack.pop()
    def handle_data(self, data):
        self.text += data

def check(path, runs, plots):
    html = open(path, encoding="utf-8").read()  # strict
    assert not re.findall("https?://", html)
    assert "@import" not in html and set(re.findall(r"url\(.(\w+:\w+/\w+)", html)) == {"data:image/png"}
    page = Page(html)
    assert page.scripts == 1, "a script came in from a file"
    assert len(page.ids) == len(set(page.ids)), "identifiers are used twice"
    assert all(l[0] == "#" and l[1:] in page.ids for l in page.links), page.links
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == plots, len(drawings)
    for drawing in drawings:
        svg = minidom.parseString(drawing).documentElement
        assert svg.getAttribute("role") == "img" and svg.getElementsByTagName("title")[0].firstChild.data
        assert svg.getElementsByTagName("desc")[0].firstChild.data and svg.getAttribute("viewBox")
        paints = set(re.findall(r"\s(?:stroke|fill|color)=[\"']([^\"']+)", drawing))
        fixed = {p for p in paints if not p.startswith("var(--")}
        assert not fixed, fixed
    for run in runs:
        lines = open(run + "/metrics.jsonl", errors="replace")
        best = min((json.loads(l) for l in lines if l.startswith('{"kind":"val"')), key=lambda line: line["F"])
        for key in ("F", "F1", "F2"):
            assert "%.4f" % best[key] in page.text, (run, key)
    return page

sweep = sorted(r for r in glob.glob("sweep/**/metrics.jsonl", recursive=True))
sweep = [r[: -len("/metrics.jsonl")] for r in sweep]
done = [r for r in sweep if glob.glob(glob.escape(r) + "/DONE")]
page = check("sweep/report.html", sweep, 4 + 5 * 5 + 3)
for run in done:  # the score, from its definition
    e = json.load(open(run + "/report/evaluation.json"))
    a, m = e["accuracy"], e["majority"]
    score = (sum(1 - a[g] for g in a) / sum(1 - m[g] for g in a) + e["mae_ratio_20"] + e["F2"] / e["baseline_F2"]) / 3
    assert "%.4f" % score in page.text, score
for text in ("lambda 0.5", "lambda 7", "The rule.", "± ", "over 2 seeds", "not begun", "left out 1 damaged line",
             "lambda-2 <&' \"/seed-2", "of 20", "1 of 3 settings"):
    assert text in page.text, text
one = check("one.html", [done[0]], 5)
e = json.load(open(done[0] + "/report/evaluation.json"))
for group, value in e["accuracy"].items():
    assert group in one.text and "%.3f" % value in one.text
for p in e["continuous"]:
    assert p["name"] in one.text
print("the pages stand on their own, parse, and hold the numbers")
END
python3 check.py || fail "the pages"

for file in metrics.jsonl config.yaml model.safetensors; do
  cp decoder/$file kept
  refused 64 "decoder/$file would replace a file in decoder, which is read" report sweep decoder -o decoder/$file
  cmp kept decoder/$file || fail "the report replaced $file"
done
works 1 report sweep decoder -o decoder/page.html
works 1 report sweep decoder -o decoder/page.html # a page is no part of a run
refused 65 nowhere report nowhere
refused 65 train report train -o x.html
[ ! -e x.html ] || fail "a page of a folder without runs"
refused 64 report report
refused 64 state sweep state sweep

# Many runs: what is too much for one file lies beside it, named relative to the page; a picture that is none is one warning.
first="sweep/lambda-0.5 <&' \"/seed-1"
for i in $(seq 24); do
  run="many/a b%41'/run-$i"
  mkdir -p "$run/report" "$run/samples"
  sed -e "s/^\( *seed: \).*/\1$i/" "$first/config.yaml" >"$run/config.yaml"
  cp "$first/DONE" "$run/"
  cp "$first/metrics.jsonl" "$run/"
  cp "$first"/report/* "$run/report/"
  cp "$(ls "$first"/samples/*.png | tail -n 1)" "$run/samples/step-000000020.png"
  truncate -s 300K "$run/samples/step-000000020.png" # what is behind the end of a PNG does not show
done
echo none >"many/a b%41'/run-3/report/triptych.png"
mkdir -p elsewhere/deep
"$LIKENESS" report many -o elsewhere/deep/many.html >/dev/null 2>many.log || { cat many.log; fail "report of many runs"; }
[ "$(grep -c 'warning' many.log)" = 2 ] && grep -q 'run-3/report/triptych.png: is not a PNG' many.log &&
  grep -q 'MB of pictures are too many' many.log ||
  { cat many.log; fail "not one warning for the damaged picture and one for the pictures beside the page"; }
[ "$(stat -c %s elsewhere/deep/many.html)" -lt 2000000 ] || fail "the page of 24 runs is larger than 2 MB"
python3 - <<'END' || fail "the pictures beside the page"
import os, re, urllib.parse
html = open("elsewhere/deep/many.html").read()
urls = re.findall(r'url\("([^"]*)"\)', html)
assert len(urls) == 47 and not any(u.startswith("data:") for u in urls), len(urls)
for url in urls:
    path = os.path.join("elsewhere/deep", urllib.parse.unquote(url))
    assert open(path, "rb").read(4) == b"\x89PNG", url
END

# A browser: sorting works both ways, rows without a value stay last; curves and faces have colours in light and dark.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
[ -n "$browser" ] || { echo "SKIPPED: the page in a browser: no chromium"; exit 0; }
cp sweep/report.html probe.html
cat >>probe.html <<'END'
<script>
function column(){var i=[].findIndex.call(runs.tHead.rows[0].cells,function(h){return h.textContent==='score'});
  return [].map.call(runs.tBodies[0].rows,function(r){return r.cells[i].textContent})}
var button=[].find.call(runs.querySelectorAll('th button'),function(b){return b.textContent==='score'});
button.click();var up=column();button.click();var down=column();
var dots=document.querySelector('svg path[stroke="var(--val)"],svg path[stroke=\'var(--val)\']');
document.title='PROBE '+JSON.stringify({up:up,down:down,line:getComputedStyle(dots).stroke,
  text:getComputedStyle(document.querySelector('svg text')).fill,paper:getComputedStyle(document.body).backgroundColor,
  face:getComputedStyle(document.querySelector('.tile')).backgroundImage.slice(0,30),
  wide:document.documentElement.scrollWidth>innerWidth})
</script>
END
probe() { # FILE PAGE FLAG...
  local out=$1 page=$2; shift 2
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/profile" --virtual-time-budget=2000 "$@" \
    --dump-dom "file://$PWD/$page" 2>/dev/null |
    grep -o '<title>PROBE .*</title>' | sed 's/<title>PROBE //;s/<\/title>//' >"$out"
  [ -s "$out" ] || fail "the browser gave no answer"
}
cp elsewhere/deep/many.html elsewhere/deep/probe.html
cat >>elsewhere/deep/probe.html <<'END'
<script>
var all=[].slice.call(document.querySelectorAll('details.run')),filter=document.getElementById('filter');
function seen(){return all.filter(function(d){return d.offsetHeight>0}).map(function(d){return d.id})}
var before=seen();filter.value='RUN-2';filter.dispatchEvent(new Event('input'));
var rows=[].filter.call(runs.tBodies[0].rows,function(r){return r.offsetHeight>0}).length;
document.querySelector('a[href="#run4"]').click();
setTimeout(function(){var picture=new Image();
  picture.onload=picture.onerror=function(){
    document.title='PROBE '+JSON.stringify({before:before,rows:rows,after:seen(),
      open:document.getElementById('run4').open,picture:picture.naturalWidth})};
  picture.src=getComputedStyle(document.querySelector('.t4')).backgroundImage.slice(5,-2)},500)
</script>
END
probe many.json elsewhere/deep/probe.html --window-size=1400,2000
probe light.json probe.html --window-size=420,2000 --blink-settings=preferredColorScheme=1
probe dark.json probe.html --window-size=1400,2000 --blink-settings=preferredColorScheme=0
python3 - <<'END' || fail "the page in the browser"
import json
light, dark = (json.load(open(n + ".json")) for n in ("light", "dark"))
for page in light, dark:
    up = [float(v) for v in page["up"] if v != "–"]
    assert len(up) == 4 and up == sorted(up) and page["up"][4:] == page["down"][4:] == ["–"] * 3, page
    assert [float(v) for v in page["down"][:4]] == up[::-1], page
    assert page["face"].startswith('url("data:image/png;base64,') and not page["wide"], page
many = json.load(open("many.json"))
assert many["before"] == [] and many["after"] == ["run4"] and many["open"], many
assert many["rows"] == 6 and many["picture"] > 0, many  # run-2 and run-20 to run-24
for key in ("line", "text", "paper"):
    assert light[key] != dark[key] and light[key].startswith("rgb"), (key, light[key], dark[key])
print("sorting, colours in light and dark, and a narrow window are right in the browser")
END
