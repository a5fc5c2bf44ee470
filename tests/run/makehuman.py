"""Reads .mhm files in MakeHuman's own core (PyPI's makehuman-mcp, which has no GUI) and compares with what the client made of them.

usage: makehuman.py assets ASSETS             makes a small folder of assets
       makehuman.py FACES DATA ASSETS WORK
FACES is a folder of print_vertices, DATA the client's data, WORK an empty folder.

MakeHuman's data are not in its core. Mesh and targets are those of the client, which are MakeHuman's. Its list of modifiers is
made of targets/target.json, MPFB's table of the same targets: for the groups below it has the names of MakeHuman 1.3's
data/modifiers/modeling_modifiers.json, which is in its repository alone, and chin-triangle.
"""
import glob
import gzip
import json
import os
import random
import shutil
import struct
import sys
import zlib

FACE = ["head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek"]
MACROS = {"macrodetails": ["Gender", "Age", "African", "Asian", "Caucasian"], "macrodetails-universal": ["Muscle", "Weight"],
          "macrodetails-height": ["Height"], "macrodetails-proportions": ["BodyProportions"],
          "breast": ["BreastSize", "BreastFirmness"]}
ORIGINS = ["African", "Asian", "Caucasian"]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(text if isinstance(text, bytes) else text.encode())


def png():
    """One pixel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff\x80\x40\xff")) + chunk(b"IEND", b"")


def make_clothes(folder, name, material, vertices):
    """A piece of a strip of faces, bound to vertices of the base mesh by chance."""
    drawn, count = random.Random(name), 12
    lines = [f"name {name} of a test", f"uuid 00000000-0000-4000-8000-{zlib.crc32(name.encode()):012x}", "basemesh hm08",
             f"obj_file {name}.obj", f"material {material}", "x_scale 5399 11998 1.6682", "z_scale 962 5320 2.3542",
             "y_scale 791 881 2.8351", "z_depth 50", "verts 0"]
    for i in range(count):
        three, weights = drawn.sample(vertices, 3), [drawn.uniform(-0.5, 1) for _ in range(2)]
        offset = [drawn.uniform(-0.2, 0.2) for _ in range(3)]
        numbers = three + [f"{w:.5f}" for w in weights + [1 - sum(weights)] + offset]
        lines.append(" ".join(map(str, numbers if i else three[:1])))
    write(f"{folder}/{name}.mhclo", "\n".join(lines) + "\n")
    mesh = [f"v {i} 0 0" for i in range(count)] + ["vt 0 0", "vt 1 1"]
    mesh += [f"f {i}/1 {i + 1}/2 {i + 2}/1" for i in range(1, count - 1)]
    write(f"{folder}/{name}.obj", "\n".join(mesh) + "\n")


def make_material(folder, name):
    write(f"{folder}/{name}.mhmat", f"name {name}\ndiffuseColor 1.0 1.0 1.0\ndiffuseTexture {name}.png\n")
    write(f"{folder}/{name}.png", png())


def make_assets(folder):
    head, helper, lids = list(range(11950, 12150)), list(range(18730, 18900)), list(range(6930, 6990))
    for kind, name, vertices in (("hair", "cap", head), ("hair", "veil", helper), ("eyebrows", "bar", lids), ("eyelashes", "fan", lids)):
        make_clothes(f"{folder}/{kind}/{name}", name, f"{name}.mhmat", vertices)
        make_material(f"{folder}/{kind}/{name}", name)
    make_clothes(f"{folder}/eyes/ball", "ball", "../materials/pink.mhmat", lids)
    make_material(f"{folder}/eyes/materials", "pink")
    make_material(f"{folder}/skins/blue", "blue")


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


def open_makehuman(client, assets, work):
    data = f"{work}/data"
    unpack(client, data)
    shutil.copytree(assets, data, dirs_exist_ok=True)
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


def compare_assets(person, faces, face):
    """What the face wears there is what it wears here, in the same place. Returns how many pieces."""
    import numpy as np
    worn = {"hair": person.getHairProxy(), "brows": person.getEyebrowsProxy(), "eyelashes": person.getEyelashesProxy(),
            "eyes": person.getEyesProxy()}
    choices, count = json.load(open(f"{faces}/{face}.json"))["discrete"], 0
    middle = np.loadtxt(f"{faces}/{face}.vertices")
    shift = (person.meshData.coord[middle[:, 0].astype(int)].astype(float) - middle[:, 1:]).mean(axis=0)
    for group, piece in worn.items():
        kind, slash, name = choices[group].partition("/")
        assert bool(slash) == bool(piece), f"{face}: {group} is {choices[group]} here, {piece and piece.name} there"
        if not slash:
            continue
        if group == "eyes":
            assert piece.object.material.filename.endswith(f"eyes/materials/{name}.mhmat"), piece.object.material.filename
        else:
            assert piece.name == f"{name} of a test", f"{face}: {group} is {name} here, {piece.name} there"
        apart = abs(piece.getCoords() - shift - np.loadtxt(f"{faces}/{face}.{group}")).max()
        assert apart < 1e-4, f"{face}: a vertex of {choices[group]} is {apart} dm from where MakeHuman has it"
        count += 1
    skin = choices["skin"].partition("/")
    assert not skin[1] or person.material.filename.endswith(f"skins/{skin[2]}/{skin[2]}.mhmat"), person.material.filename
    return count + bool(skin[1])


def same_parameters(faces, face):
    a, b = (json.load(open(f"{faces}/{face}{ending}")) for ending in (".json", ".back.json"))
    assert a["discrete"] == b["discrete"], f"{face}: other choices come back"
    return max(abs(a["continuous"][name] - b["continuous"][name]) for name in a["continuous"])


def main(faces, client, assets, work):
    person = open_makehuman(client, assets, work)
    import log
    complaints = []

    def warn(message, *rest, **_):
        text = message % rest if rest else message
        if "['likeness'" not in text and "compiled" not in text:  # caches that are not there
            complaints.append(text)
    log.warning = warn
    worst = back = count = vertices = pieces = 0
    for path in sorted(glob.glob(f"{faces}/*.vertices")):
        face = os.path.basename(path)[:-len(".vertices")]
        modifiers_read, vertices, apart = compare(person, faces, face, complaints)
        assert apart < 1e-4, f"{face}: a vertex is {apart} dm from where MakeHuman has it"
        pieces += compare_assets(person, faces, face)
        back = max(back, same_parameters(faces, face))
        worst, count = max(worst, apart), count + 1
    assert count >= 20 and pieces > 0 and back < 1e-6, f"{count} faces, {pieces} assets, parameters come back {back} apart"
    print(f"ok: {count} faces of {modifiers_read} modifiers with {pieces} assets; {vertices} vertices at most {worst:.1e} dm apart")


if sys.argv[1] == "assets":
    make_assets(sys.argv[2])
else:
    main(*sys.argv[1:])
