'use strict';
// The page of likeness serve: a photo goes to /v1/predict, parameters go to /v1/render whenever a control moves.
const $ = id => document.getElementById(id);
let schema, predicted = null; // what the server said of the photo
const inputs = {continuous: {}, discrete: {}};

// ---- asking the server ----

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The server does not answer. Is it still running?');
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Error(body.error || `The server answered ${answer.status} ${answer.statusText}.`);
}
const post = (path, body, signal) => ask(path, {method: 'POST', body, signal});

function showError(error) {
  $('error').textContent = error ? sentence(error.message) : '';
  $('error').hidden = !error;
  if (error) $('error').scrollIntoView({block: 'nearest'});
}
const sentence = text => text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? '' : '.');
const attempt = work => async (...given) => {
  try {
    await work(...given);
  } catch (error) {
    if (error.name !== 'AbortError') showError(error);
  }
};

// ---- controls for the parameters ----

const make = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

// "nose/nose-scale-horiz-decr|incr" is "scale horiz" of "nose", from "decr" to "incr".
function partsOf(name) {
  const slash = name.indexOf('/');
  const group = slash > 0 ? name.slice(0, slash) : 'parameters';
  let label = name.slice(slash + 1), low = '', high = '';
  const ends = label.match(/^(.*)-([^-|]+)\|([^-|]+)$/);
  if (ends) [, label, low, high] = ends;
  if (label.startsWith(group + '-')) label = label.slice(group.length + 1);
  return {group, label: label.replace(/[-_]/g, ' '), low, high};
}

function makeSlider(c) {
  const {label, low, high} = partsOf(c.name);
  const input = make('input', {type: 'range', min: c.min, max: c.max, step: 'any', value: c.default, title: c.name});
  const output = make('output');
  input.show = () => output.textContent = (+input.value).toFixed(2);
  input.addEventListener('input', () => { input.show(); redrawSoon(); });
  inputs.continuous[c.name] = input;
  input.show();
  return make('label', {className: 'slider'}, make('span', {textContent: label}), make('span', {className: 'end', textContent: low}),
    input, make('span', {className: 'end', textContent: high}), output);
}

function makeSelect(group) {
  const select = make('select', {}, ...group.choices.map(choice => make('option', {value: choice, textContent: choice.replace(/_/g, ' ')})));
  select.certainty = make('small');
  select.addEventListener('change', () => { showCertainty(group.name); redrawSoon(); });
  inputs.discrete[group.name] = select;
  return make('label', {}, group.name.replace(/_/g, ' '), ' ', select.certainty, select);
}

function showCertainty(name) {
  const select = inputs.discrete[name], same = predicted && predicted.discrete[name] === select.value;
  select.certainty.textContent = same ? `${Math.round(100 * predicted.certainty[name])} % sure` : '';
}

function makeControls() {
  const groups = new Map();
  for (const c of schema.continuous) {
    const {group} = partsOf(c.name);
    if (!groups.has(group)) groups.set(group, make('fieldset', {}, make('legend', {textContent: group})));
    groups.get(group).append(makeSlider(c));
  }
  const styles = make('div', {className: 'choices'}, ...schema.discrete.map(makeSelect));
  $('parameters').append(make('fieldset', {}, make('legend', {textContent: 'styles'}), styles), ...groups.values());
}

function faceOf() {
  const face = {continuous: {}, discrete: {}};
  for (const c of schema.continuous) // a slider's text may lie a rounding outside
    face.continuous[c.name] = Math.min(c.max, Math.max(c.min, +inputs.continuous[c.name].value));
  for (const name in inputs.discrete) face.discrete[name] = inputs.discrete[name].value;
  return face;
}

function setControls(face) {
  for (const name in inputs.continuous) {
    inputs.continuous[name].value = face.continuous[name];
    inputs.continuous[name].show();
  }
  for (const name in inputs.discrete) {
    inputs.discrete[name].value = face.discrete[name];
    showCertainty(name);
  }
}

// ---- the client's face ----

// One request at a time; what moved meanwhile is drawn next.
let drawing = false, moved = false, timer = 0;
function redrawSoon() {
  $('reset').disabled = !predicted;
  clearTimeout(timer);
  timer = setTimeout(redraw, 60);
}
const redraw = attempt(async () => {
  if (!schema.pictures.includes('client')) return;
  moved = true;
  if (drawing) return;
  drawing = true;
  try {
    while (moved) {
      moved = false;
      const answer = await post('v1/render', JSON.stringify(faceOf()));
      showPicture('client', await answer.blob());
      showError(null);
    }
  } finally {
    drawing = false;
  }
});

function showPicture(id, blob) {
  const image = $(id).querySelector('img'), old = image.src;
  image.src = URL.createObjectURL(blob);
  $(id).hidden = false;
  if (old) URL.revokeObjectURL(old);
}
const fromBase64 = text => new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))], {type: 'image/png'});

// ---- a photo ----

let asking = null;
const predict = attempt(async photo => {
  if (asking) asking.abort();
  const mine = asking = new AbortController();
  showError(null);
  $('drop').classList.add('busy');
  try {
    const wanted = ['crop', 'decoded'].filter(name => schema.pictures.includes(name));
    const answer = await post(`v1/predict?picture=${wanted}`, await asJpegOrPng(photo), mine.signal);
    predicted = await answer.json();
    for (const name of wanted) showPicture(name, fromBase64(predicted.pictures[name]));
    setControls(predicted);
    const q = predicted.quality;
    $('quality').textContent = `The face is turned ${q.turn.toFixed(0)}° from the camera` +
      (q.enlarge > 1 ? ` and had to be enlarged ${q.enlarge.toFixed(1)} times: a larger photo would show more.` : '.');
    $('quality').hidden = false;
    $('reset').disabled = true;
    redraw();
  } finally {
    if (asking === mine) {
      asking = null;
      $('drop').classList.remove('busy');
    }
  }
});

// The server reads JPEG and PNG; what else the browser can show becomes a JPEG.
async function asJpegOrPng(photo) {
  if (photo.type === 'image/jpeg' || photo.type === 'image/png') return photo;
  let bitmap;
  try {
    bitmap = await createImageBitmap(photo);
  } catch {
    throw new Error(`${photo.name || 'That'} is no picture that this browser can read. Choose a JPEG or PNG.`);
  }
  return toJpeg(bitmap, bitmap.width, bitmap.height);
}
function toJpeg(source, width, height) {
  const canvas = make('canvas', {width, height});
  canvas.getContext('2d').drawImage(source, 0, 0);
  return new Promise(resolve => canvas.toBlob(resolve, 'image/jpeg', 0.95));
}

$('file').addEventListener('change', () => {
  if ($('file').files[0]) predict($('file').files[0]);
  $('file').value = ''; // the same photo can be chosen again
});
for (const kind of ['dragover', 'drop', 'dragleave', 'dragend'])
  document.addEventListener(kind, event => {
    event.preventDefault();
    $('drop').classList.toggle('over', kind === 'dragover');
  });
document.addEventListener('drop', event => {
  if (event.dataTransfer.files[0]) predict(event.dataTransfer.files[0]);
});
document.addEventListener('paste', event => {
  if (event.clipboardData.files[0]) predict(event.clipboardData.files[0]);
});

// ---- the webcam ----

function closeCamera() {
  for (const track of $('video').srcObject?.getTracks() || []) track.stop();
  $('video').srcObject = null;
  $('camera').hidden = true;
}
$('webcam').addEventListener('click', attempt(async () => {
  showError(null);
  if (!navigator.mediaDevices) throw new Error('The browser gives the webcam only to pages over https or from this machine.');
  try {
    $('video').srcObject = await navigator.mediaDevices.getUserMedia({video: {width: 1280, height: 720, facingMode: 'user'}});
  } catch {
    throw new Error('The browser does not give access to a webcam.');
  }
  $('camera').hidden = false;
  await $('video').play();
}));
$('leave').addEventListener('click', closeCamera);
$('shoot').addEventListener('click', attempt(async () => {
  const video = $('video'), photo = await toJpeg(video, video.videoWidth, video.videoHeight);
  closeCamera();
  await predict(photo);
}));

// ---- downloads ----

function download(blob, name) {
  const link = make('a', {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
$('json').addEventListener('click', () =>
  download(new Blob([JSON.stringify(faceOf(), null, 2) + '\n'], {type: 'application/json'}), 'face.json'));
$('mhm').addEventListener('click', attempt(async () => {
  const answer = await post('v1/mhm', JSON.stringify(faceOf()));
  download(await answer.blob(), 'face.mhm');
}));
$('reset').addEventListener('click', () => {
  setControls(predicted);
  $('reset').disabled = true;
  redraw();
});

// ---- the start: the client's face as the schema has it by default ----

attempt(async () => {
  schema = await (await ask('v1/schema')).json();
  makeControls();
  $('actions').hidden = false;
  $('reset').disabled = true;
  redraw();
})();
