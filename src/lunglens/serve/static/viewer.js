// The film on a canvas: window and level, turning, zoom and pan, outline, heat, the cut image beside the film, measuring.
"use strict";

const PLAIN = { window: 1, level: 0.5, heat: 0, grades: 0, cut: 0, outline: true, invert: false, magnifier: false, across: false };
const PLACE = { zoom: 1, x: 0, y: 0, turn: 0, flip: false };
const BAR_MM = 50;
const BYTES = Float32Array.from({ length: 256 }, (_, value) => value / 255);

class Viewer {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.readout = canvas.nextElementSibling; // tells what is under the pointer
    this.changed = changed; // called where window or level are changed by the pointer
    this.partner = null; // another viewer that shows its film in the same way
    this.pictures = {};
    this.facts = {};
    this.shown = null; // the film after window and level
    this.kept = new Map(); // id of a film -> how it was looked at
    this.drag = "move";
    this.pointer = null;
    this.open(null, {});
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  // facts: width and height, px of the film as it was sent, mm, of one of them, and across, the lines of the
  // cardiothoracic ratio, where these are known.
  open(id, pictures, facts = {}) {
    this.id = id;
    this.pictures = pictures;
    this.stored = null;
    delete this.canvas.dataset.values;
    this.facts = { width: pictures.film?.width ?? 1, height: pictures.film?.height ?? 1, ...facts };
    this.fingers = new Map();
    this.state = this.kept.get(id) ?? { settings: { ...PLAIN }, place: { ...PLACE }, lines: [] };
    if (id !== null) this.kept.set(id, this.state);
    this.tell();
    this.develop();
  }

  // Both viewers look at their films in this one's way from now on; null: each goes its own way again.
  link(other) {
    if (this.partner) this.partner.partner = null;
    this.partner = other;
    if (other === null) return;
    other.partner = this;
    Object.assign(other.state, { settings: this.settings, place: this.place });
    other.develop();
  }

  get settings() { return this.state.settings; }
  get place() { return this.state.place; }

  set(name, value) {
    this.settings[name] = value;
    if (["window", "level", "invert"].includes(name)) this.develop();
    else this.draw();
  }

  forget(id) { this.kept.delete(id); }

  fit() {
    Object.assign(this.place, { zoom: 1, x: 0, y: 0 });
    this.draw();
  }

  reset() {
    Object.assign(this.settings, PLAIN);
    Object.assign(this.place, PLACE);
    this.state.lines = [];
    this.develop();
  }

  turn() { this.place.turn = (this.place.turn + 1) % 4; this.draw(); }
  flip() { this.place.flip = !this.place.flip; this.draw(); }
  clearLines() { this.state.lines = []; this.draw(); }
  fullSize() { this.zoomBy(1 / this.scale()); } // a pixel of the film is one of the screen

  // The film's own values in place of its picture (docs/reference.md: stored.bin).
  deepen(bytes) {
    const head = new DataView(bytes), [width, height, levels] = [0, 4, 8].map((at) => head.getUint32(at, true));
    const shown = new Float32Array(bytes, 28, levels);
    this.stored = { width, height, first: head.getFloat64(12, true), step: head.getFloat64(20, true), shown, pixels: new Uint16Array(bytes, 28 + 4 * levels) };
    this.canvas.dataset.values = "stored";
    this.develop();
  }

  // The value that is stored at a place of the film.
  valueAt({ x, y }) {
    const { stored, facts } = this;
    if (!stored || x < 0 || y < 0 || x >= facts.width || y >= facts.height) return null;
    return this.valueOf(stored.pixels[Math.floor(y * stored.height / facts.height) * stored.width + Math.floor(x * stored.width / facts.width)]);
  }

  valueOf(level) { return this.stored.first + this.stored.step * level; }

  // Which stored value has this share of the film's own brightness, 0 to 1; beyond, as far as there are any.
  valueShownAs(share) {
    const { shown } = this.stored, rising = shown.at(-1) >= shown[0];
    let low = 0, high = shown.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rising ? shown[middle] < share : shown[middle] > share) low = middle + 1; else high = middle;
    }
    return this.valueOf(low);
  }

  zoomBy(factor, at) {
    const { place } = this, zoom = Math.min(40, Math.max(0.5, place.zoom * factor));
    const rect = this.canvas.getBoundingClientRect();
    const point = at || { x: rect.width / 2, y: rect.height / 2 };
    const dx = point.x - rect.width / 2 - place.x, dy = point.y - rect.height / 2 - place.y;
    place.x -= dx * (zoom / place.zoom - 1);
    place.y -= dy * (zoom / place.zoom - 1);
    place.zoom = zoom;
    this.draw();
  }

  panBy(dx, dy) {
    this.place.x += dx;
    this.place.y += dy;
    this.draw();
  }

  // Window and level, as what each level becomes; shown: how bright each is by the film's own window, 0..1 and beyond.
  table(shown) {
    const { window, level, invert } = this.settings, table = new Uint8ClampedArray(shown.length);
    for (let at = 0; at < shown.length; at++) {
      const share = (shown[at] - level) / window + 0.5;
      table[at] = 255 * (invert ? 1 - share : share);
    }
    return table;
  }

  develop() {
    this.expose();
    this.partner?.expose();
    this.draw();
  }

  expose() {
    const film = this.stored ?? this.pictures.film;
    this.shown = null;
    if (!film) return;
    const sheet = new OffscreenCanvas(film.width, film.height), context = sheet.getContext("2d", { willReadFrequently: true });
    if (this.stored) {
      const pixels = context.createImageData(film.width, film.height), data = new Uint32Array(pixels.data.buffer), table = this.table(film.shown), levels = film.pixels;
      for (let at = 0; at < data.length; at++) data[at] = 0xff000000 | table[levels[at]] * 0x10101;
      context.putImageData(pixels, 0, 0);
    } else {
      context.drawImage(film, 0, 0);
      const pixels = context.getImageData(0, 0, film.width, film.height), table = this.table(BYTES), data = pixels.data;
      for (let at = 0; at < data.length; at += 4) data[at] = data[at + 1] = data[at + 2] = table[data[at]];
      context.putImageData(pixels, 0, 0);
    }
    this.shown = sheet;
  }

  // Screen pixels of a pixel of the film.
  scale() {
    const { width, height } = this.facts, lying = this.place.turn % 2;
    return Math.min(this.canvas.width / (lying ? height : width), this.canvas.height / (lying ? width : height)) * this.place.zoom;
  }

  // From pixels of the film to those of the canvas.
  matrix() {
    const { x, y, turn, flip } = this.place, density = window.devicePixelRatio || 1, scale = this.scale();
    return new DOMMatrix().translate(this.canvas.width / 2 + x * density, this.canvas.height / 2 + y * density)
      .rotate(90 * turn).scale(flip ? -scale : scale, scale).translate(-this.facts.width / 2, -this.facts.height / 2);
  }

  onFilm({ offsetX, offsetY }) {
    const density = window.devicePixelRatio || 1;
    return this.matrix().inverse().transformPoint({ x: offsetX * density, y: offsetY * density });
  }

  // Place and stored value under the pointer.
  tell() {
    const place = this.pointer && this.shown && this.onFilm({ offsetX: this.pointer.x, offsetY: this.pointer.y }), value = place ? this.valueAt(place) : null;
    this.readout.textContent = value === null ? "" : `${Math.floor(place.x)}, ${Math.floor(place.y)}: ${+value.toPrecision(6)}`;
  }

  draw() {
    this.paint();
    this.partner?.paint();
  }

  paint() {
    const canvas = this.canvas, rect = canvas.getBoundingClientRect(), density = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(rect.width * density));
    canvas.height = Math.max(1, Math.round(rect.height * density));
    const context = canvas.getContext("2d");
    if (!this.shown) return;
    this.drawFilm(context, this.matrix());
    if (this.settings.magnifier && this.pointer) this.drawMagnifier(context, density);
    this.drawLines(context, density, this.state.lines);
    if (this.settings.across && this.facts.across) this.drawLines(context, density, this.across());
    this.drawMarks(context, density);
  }

  drawFilm(context, matrix) {
    const { width, height } = this.facts, { cut, outline } = this.settings, { pictures } = this;
    context.save();
    context.setTransform(matrix);
    context.imageSmoothingEnabled = this.scale() * width / this.shown.width < 3;
    context.drawImage(this.shown, 0, 0, width, height);
    if (pictures.seen && cut > 0) {
      context.save();
      context.beginPath();
      context.rect(0, 0, width * cut, height);
      context.clip();
      context.drawImage(pictures.seen, 0, 0, width, height);
      context.restore();
      context.fillStyle = "#40e0ff";
      context.fillRect(width * cut - 1 / this.scale(), 0, 2 / this.scale(), height);
    }
    for (const name of ["heat", "grades"]) {
      if (!pictures[name]) continue;
      context.globalAlpha = this.settings[name];
      context.drawImage(pictures[name], 0, 0, width, height);
    }
    context.globalAlpha = 1;
    if (pictures.lungs && outline) context.drawImage(pictures.lungs, 0, 0, width, height);
    context.restore();
  }

  drawMagnifier(context, density) {
    const radius = 90 * density, { x, y } = { x: this.pointer.x * density, y: this.pointer.y * density };
    context.save();
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.clip();
    context.fillStyle = "#000";
    context.fill();
    this.drawFilm(context, new DOMMatrix().translate(x, y).scale(3).translate(-x, -y).multiply(this.matrix()));
    context.restore();
    context.strokeStyle = "#40e0ff";
    context.lineWidth = 1.5 * density;
    context.stroke();
  }

  // Lengths (two points) and angles (three, the corner second).
  drawLines(context, density, lines) {
    const matrix = this.matrix();
    context.strokeStyle = context.fillStyle = "#ffd75e";
    context.lineWidth = 2 * density;
    context.font = `${14 * density}px system-ui, sans-serif`;
    for (const line of lines) {
      const points = line.map((point) => matrix.transformPoint(point));
      context.beginPath();
      points.forEach(({ x, y }, at) => at ? context.lineTo(x, y) : context.moveTo(x, y));
      context.stroke();
      for (const { x, y } of points) context.fillRect(x - 2 * density, y - 2 * density, 4 * density, 4 * density);
      if (line.length < 2) continue;
      const said = this.measureOf(line), end = points.at(-1), room = this.canvas.width - context.measureText(said).width - 4 * density;
      this.write(context, density, said, Math.min(end.x + 8 * density, room), end.y + (line.isBelow ? 18 : -8) * density);
    }
  }

  // Text that is read on black and on white.
  write(context, density, text, x, y) {
    context.save();
    context.lineWidth = 3 * density;
    context.strokeStyle = "#000";
    context.strokeText(text, x, y);
    context.restore();
    context.fillText(text, x, y);
  }

  // Heart and chest: the heart's two ends on one level, as its width is measured.
  across() {
    const { width, height, across: { heart, chest } } = this.facts, level = Math.max(heart[0][1], heart[1][1]);
    const [ours, theirs] = [heart.map(([x]) => [x, level]), chest].map((line) => line.map(([x, y]) => ({ x: x * width, y: y * height })));
    return [ours, Object.assign(theirs, { isBelow: true })];
  }

  measureOf([one, two, three]) {
    if (three) {
      const angle = Math.atan2(three.y - two.y, three.x - two.x) - Math.atan2(one.y - two.y, one.x - two.x), degrees = Math.abs(angle * 180 / Math.PI) % 360;
      return `${(degrees > 180 ? 360 - degrees : degrees).toFixed(1)}°`;
    }
    const length = Math.hypot(two.x - one.x, two.y - one.y), { mm } = this.facts;
    return mm ? `${(length * mm).toFixed(0)} mm` : `${length.toFixed(0)} px`;
  }

  // The patient's sides, and a scale where the size of a pixel is known.
  drawMarks(context, density) {
    const matrix = this.matrix(), { width, height } = this.facts;
    context.font = `600 ${15 * density}px system-ui, sans-serif`;
    context.textAlign = "center";
    for (const [letter, at] of [["R", 0.02], ["L", 0.98]]) {
      const { x, y } = matrix.transformPoint({ x: width * at, y: height * 0.5 });
      context.fillStyle = "#40e0ff";
      this.write(context, density, letter, x, y);
    }
    context.textAlign = "start";
    if (!this.facts.mm) return;
    const bar = BAR_MM / this.facts.mm * this.scale(), left = 14 * density, bottom = this.canvas.height - 14 * density;
    context.fillStyle = "#e6edf3";
    context.fillRect(left, bottom, bar, 2 * density);
    context.font = `${12 * density}px system-ui, sans-serif`;
    context.fillText(`${BAR_MM} mm`, left, bottom - 5 * density);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      this.fingers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      if (this.shown && ["length", "angle"].includes(this.drag)) this.addPoint(this.onFilm(event));
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.tell(); if (this.settings.magnifier) this.draw(); });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, { x: event.offsetX, y: event.offsetY });
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [30, 0], ArrowRight: [-30, 0], ArrowUp: [0, 30], ArrowDown: [0, -30] }[event.key];
      if (step) { event.preventDefault(); this.panBy(...step); }
    });
  }

  move(event) {
    const before = this.fingers.get(event.pointerId), { fingers } = this;
    this.pointer = { x: event.offsetX, y: event.offsetY };
    if (before) fingers.set(event.pointerId, event);
    this.tell();
    if (!before) {
      if (this.settings.magnifier) this.draw();
      return;
    }
    const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
    if (fingers.size === 2) {
      const [other] = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
      const span = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      this.zoomBy(span(event) / span(before));
    } else if (this.drag === "window") {
      this.settings.window = Math.min(4, Math.max(0.01, this.settings.window * Math.exp(dx / 200)));
      this.settings.level = Math.min(1.5, Math.max(-0.5, this.settings.level + dy / 400));
      this.changed();
      this.develop();
    } else if (this.drag === "move") {
      this.panBy(dx, dy);
    } else if (this.shown && this.state.lines.length) {
      this.state.lines.at(-1)[this.state.lines.at(-1).length - 1] = this.onFilm(event);
      this.draw();
    }
  }

  // A press begins a line and drags its end; an angle's third point comes with a second press.
  addPoint(point) {
    const last = this.state.lines.at(-1);
    if (this.drag === "angle" && last?.length === 2 && last.isAngle) last.push(point);
    else this.state.lines.push(Object.assign([point, point], { isAngle: this.drag === "angle" }));
    this.draw();
  }
}
