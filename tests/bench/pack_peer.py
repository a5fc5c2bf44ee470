"""What likeness pack is measured against: the same job as people write it in Python. Also makes the pictures for both.

usage: pack_peer.py make PHOTOS SCHEMA OUT COUNT      OUT/photos.tar (640 x 480), OUT/square.tar (512 x 512), with parameters
       pack_peer.py align|jpeg|raw TAR SCHEMA OUT.h5 PROCESSES COUNT      packs the first COUNT
"""
import io
import itertools
import json
import math
import multiprocessing
import random
import re
import sys
import tarfile

import h5py
import numpy as np
from PIL import Image

SIZE = 512
EYE_X, EYE_Y = 0.36, 0.46
MODEL = "/usr/share/dlib/shape_predictor_68_face_landmarks.dat"
FACES = {  # the eyes of some photos, roughly
    "0-f1-su-ph.jpg": (194, 240, 318, 237), "0-f15-hao-ph.jpg": (187, 245, 315, 249), "15-f13-anc-ph.jpg": (190, 190, 322, 185),
    "single_face.jpg": (226, 195, 308, 193), "obama.jpg": (393, 345, 498, 343), "biden.jpg": (420, 310, 540, 335),
}


def read_schema(path):
    continuous, discrete = [], []
    for line in open(path):
        name = re.search(r"\{name: *([^,]+),", line)
        if name and "min:" in line:
            number = lambda key: float(re.search(key + r": *([-+.0-9e]+)", line).group(1))
            continuous.append((name.group(1), number("min"), number("max")))
        elif name:
            choices = re.search(r"choices: *\[([^]]*)\]", line).group(1)
            discrete.append((name.group(1), [c.strip().strip('"') for c in choices.split(",")]))
    return continuous, discrete


def make(photos, schema, out, count):
    continuous, discrete = read_schema(schema)
    random.seed(1)
    pictures = {name: Image.open(f"{photos}/{name}").convert("RGB") for name in FACES}

    def add(tar, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

    variants = []
    for i in range(min(count, 300)):  # as many as differ; then they come again under other names
        name = random.choice(list(FACES))
        lx, ly, rx, ry = FACES[name]
        zoom = random.uniform(0.8, 1.3) * 70 / math.hypot(rx - lx, ry - ly)
        angle = random.uniform(-0.25, 0.25)
        a, b = math.cos(angle) / zoom, math.sin(angle) / zoom
        cx, cy = (lx + rx) / 2, (ly + ry) / 2
        u, v = random.uniform(240, 400), random.uniform(180, 240)
        photo = pictures[name].transform((640, 480), Image.AFFINE, (a, -b, cx - a * u + b * v, b, a, cy - b * u - a * v), Image.BICUBIC)
        square = pictures[name].resize((SIZE, SIZE))
        encoded = []
        for picture in (photo, square):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=90)
            encoded.append(buffer.getvalue())
        variants.append(encoded)
    with tarfile.open(f"{out}/photos.tar", "w") as first, tarfile.open(f"{out}/square.tar", "w") as second:
        for i in range(count):
            labels = {"continuous": {n: round(random.uniform(lo, hi), 5) for n, lo, hi in continuous},
                      "discrete": {n: random.choice(c) for n, c in discrete}}
            for tar, data in ((first, variants[i % len(variants)][0]), (second, variants[i % len(variants)][1])):
                add(tar, f"faces/{i:06d}.jpg", data)
                add(tar, f"faces/{i:06d}.json", json.dumps(labels).encode())


worker = None


class Worker:
    def __init__(self, mode, schema):
        self.mode = mode
        self.continuous, self.discrete = read_schema(schema)
        if mode == "align":
            import dlib
            self.detector = dlib.get_frontal_face_detector()
            self.landmarks = dlib.shape_predictor(MODEL)

    def labels(self, text):
        values = json.loads(text)
        c = [(values["continuous"][n] - lo) / (hi - lo) for n, lo, hi in self.continuous]
        d = [choices.index(values["discrete"][n]) for n, choices in self.discrete]
        return np.float32(c), np.uint8(d)

    def picture(self, data):
        image = Image.open(io.BytesIO(data))
        if self.mode == "jpeg":
            image.load()
            return data
        image = image.convert("RGB")
        if self.mode == "raw":
            return np.asarray(image)
        array = np.asarray(image)
        found = self.detector(array, 0)
        if not found:
            return None
        shape = self.landmarks(array, max(found, key=lambda r: r.area()))
        points = np.array([(p.x, p.y) for p in shape.parts()], float)
        left, right = points[36:42].mean(0), points[42:48].mean(0)
        a, b = (right - left) / ((1 - 2 * EYE_X) * SIZE)
        x = left[0] - a * EYE_X * SIZE + b * EYE_Y * SIZE
        y = left[1] - b * EYE_X * SIZE - a * EYE_Y * SIZE
        crop = image.transform((SIZE, SIZE), Image.AFFINE, (a, -b, x, b, a, y), Image.BILINEAR)
        buffer = io.BytesIO()
        crop.save(buffer, "JPEG", quality=95, subsampling=0)
        return buffer.getvalue()

    def __call__(self, item):
        key, data, text = item
        return key, self.picture(data), self.labels(text)


def start_worker(mode, schema):
    global worker
    worker = Worker(mode, schema)


def work(item):
    return worker(item)


def pairs(path):
    waiting = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, ending = member.name.rsplit(".", 1)
            data = tar.extractfile(member).read()
            if key in waiting:
                other = waiting.pop(key)
                yield (key, data, other) if ending == "jpg" else (key, other, data)
            else:
                waiting[key] = data


def pack(mode, path, schema, out, processes, count):
    continuous, discrete = read_schema(schema)
    with multiprocessing.Pool(processes, start_worker, (mode, schema)) as pool, h5py.File(out, "w", libver="latest") as file:
        c = file.create_dataset("continuous", (0, len(continuous)), "f4", maxshape=(None, len(continuous)), chunks=(1024, len(continuous)))
        d = file.create_dataset("discrete", (0, len(discrete)), "u1", maxshape=(None, len(discrete)), chunks=(1024, len(discrete)))
        if mode == "raw":
            images = file.create_dataset("images", (0, SIZE, SIZE, 3), "u1", maxshape=(None, SIZE, SIZE, 3), chunks=(1, SIZE, SIZE, 3))
        else:
            images = file.create_dataset("jpeg", (0,), h5py.vlen_dtype(np.uint8), maxshape=(None,))
        n = 0
        for key, picture, (values, choices) in pool.imap(work, itertools.islice(pairs(path), count), chunksize=4):
            if picture is None:
                continue
            for dataset, value in ((c, values), (d, choices), (images, picture if mode == "raw" else np.frombuffer(picture, np.uint8))):
                if n == dataset.shape[0]:
                    dataset.resize(n + 1024, axis=0)
                dataset[n] = value
            n += 1
        for dataset in (c, d, images):
            dataset.resize(n, axis=0)
    print(n, "taken")


if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
else:
    pack(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
