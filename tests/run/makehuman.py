"""Reads .mhm files in MakeHuman's own core (PyPI's makehuman-mcp, which has no GUI) and compares with what the client made of them.

usage: makehuman.py FACES DATA WORK
FACES is a folder of print_vertices, DATA the client's data, WORK an empty folder.

MakeHuman's data are not in its core. Mesh and targets are those of the client, which are MakeHuman's. Its list of modifiers is
made of targets/target.json, MPFB's table of the same targets: for the groups below it has the names of MakeHuman 1.3's
data/modifiers/modeling_modifiers.json, which is in its repository alone, and chin-triangle.
"""
import glob
import gzip
import json
import os
import shutil
import sys

FACE = ["head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek"]
MACROS = {"macrodetails": ["Gender", "Age", "African", "Asian", "Caucasian"], "macrodetails-universal": ["Muscle", "Weight"],
          "macrodetails-height": ["Height"], "macrodetails-proportions": ["BodyProportions"],
          "breast": ["BreastSize", "BreastFirmness"]}
ORIGINS = ["African", "Asian", "Caucasian"]


def unpack(client, data):
    """The client's data as MakeHuman wants them: text files in its own places."""
    os.makedirs(f"{data}/3dobjs")
    os.makedirs(f"{data}/modifiers")
    os.makedirs(f"{data}/skins")
    shutil.copy(f"{client}/3dobjs/base.obj", f"{data}/3dobjs/")
    open(f"{data}/skins/default.mhmat", "w").write("name default\n")
    folders = FACE + ["macrodetails", "macrodetails/height", "macrodetails/proportions", "breast"]
    for folder in folders:
        os.makedirs(f"{data}/targets/{folder}")
        for path in glob.glob(f"{client}/targets/{folder}/*.target.gz"):
            if "baby" in path or "child" in path:
                continue
            with gzip.open(path) as packed, open(f"{data}/targets/{folder}/{os.path.basename(path)[:-3]}", "wb") as out:
                shutil.copyfileobj(packed, out)


def modifiers(client):
    """MakeHuman's modifier definitions: {group, modifiers: [{target, min, max}]}."""
    table, groups = json.load(open(f"{client}/targets/target.json")), []
    for group in FACE:
        found = []
        for category in table[group]["categories"]:
            if category["name"] == "chin-triangle":
                continue
            sides = ["l-", "r-"] if category["has_left_and_right"] else [""]
            targets = sorted(t.removeprefix(sides[0]) for t in category["targets"] if t.startswith(sides[0]))
            stem = os.path.commonprefix(targets).rpartition("-")[0] if len(targets) == 2 else targets[0]
            ends = category["name"].split("-")[-2:]
            for side in sides:
                limits = {"min": ends[0], "max": ends[1]} if len(targets) == 2 else {}
                found.append({"target": side + stem, **limits})
        groups.append({"group": group, "modifiers": found})
    for group, names in MACROS.items():
        kinds = [{"macrovar": n, **({"modifierType": "EthnicModifier"} if n in ORIGINS else {})} for n in names]
        groups.append({"group": group, "modifiers": kinds})
    return groups


def open_makehuman(client, work):
    data = f"{work}/data"
    unpack(client, data)
    json.dump(modifiers(client), open(f"{data}/modifiers/modeling_modifiers.json", "w"))
    os.environ.update(MHCORE_DATA=data, HOME=work)
    from mhcore import bootstrap
    bootstrap.init()
    from core import G
    import files3d
    import human
    import humanmodifier
    person = human.Human(files3d.loadMesh(f"{data}/3dobjs/base.obj", maxFaces=5))
    G.app.selectedHuman = person
    humanmodifier.loadModifiers(f"{data}/modifiers/modeling_modifiers.json", person)
    person.applyAllTargets()
    return person


def compare(person, faces, face, complaints):
    lines = [line.split() for line in open(f"{faces}/{face}.mhm")]
    del complaints[:]
    person.load(f"{faces}/{face}.mhm")
    assert not complaints, f"{face}.mhm: MakeHuman says {complaints[0]}"
    values = [(words[1], float(words[2])) for words in lines if words[0] == "modifier"]
    for name, value in values:
        read = person.getModifier(name).getValue()
        assert abs(read - value) < 1e-6, f"{face}.mhm: {name} is {value}, MakeHuman has {read}"
    import numpy as np
    table = np.loadtxt(f"{faces}/{face}.vertices")
    there = person.meshData.coord[table[:, 0].astype(int)].astype(float)
    offset = there - table[:, 1:]
    return len(values), len(table), abs(offset - offset.mean(axis=0)).max()


def same_parameters(faces, face):
    a, b = (json.load(open(f"{faces}/{face}{ending}")) for ending in (".json", ".back.json"))
    assert a["discrete"] == b["discrete"], f"{face}: other choices come back"
    return max(abs(a["continuous"][name] - b["continuous"][name]) for name in a["continuous"])


def main(faces, client, work):
    person = open_makehuman(client, work)
    import log
    complaints = []

    def warn(message, *rest, **_):
        text = message % rest if rest else message
        if "['likeness'" not in text:
            complaints.append(text)
    log.warning = warn
    worst = back = count = vertices = 0
    for path in sorted(glob.glob(f"{faces}/*.vertices")):
        face = os.path.basename(path)[:-len(".vertices")]
        modifiers_read, vertices, apart = compare(person, faces, face, complaints)
        assert apart < 1e-4, f"{face}: a vertex is {apart} dm from where MakeHuman has it"
        back = max(back, same_parameters(faces, face))
        worst, count = max(worst, apart), count + 1
    assert count >= 20 and back < 1e-6, f"{count} faces, parameters come back {back} apart"
    print(f"ok: {count} faces of {modifiers_read} modifiers; {vertices} vertices at most {worst:.1e} dm apart, values {back:.1e}")


main(*sys.argv[1:])
