// The film on a canvas: window and level, turning, zoom and pan, outline, heat, the cut image beside the film, measuring.
"use strict";

const PLAIN = { window: 1, level: 0.5, heat: 0, grades: 0, cut: 0, outline: true, invert: false, magnifier: false };
const PLACE = { zoom: 1, x: 0, y: 0, turn: 0, flip: false };
const BAR_MM = 50;

class Viewer {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed; // called where window or level are changed by the pointer
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

  // facts: mm, of a pixel of the film as it is shown, where that is known.
  open(id, pictures, facts = {}) {
    this.id = id;
    this.pictures = pictures;
    this.facts = facts;
    this.fingers = new Map();
    this.state = this.kept.get(id) ?? { settings: { ...PLAIN }, place: { ...PLACE }, lines: [] };
    if (id !== null) this.kept.set(id, this.state);
    this.develop();
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
    Object.assign(this.state, { settings: { ...PLAIN }, place: { ...PLACE }, lines: [] });
    this.develop();
  }

  turn() { this.place.turn = (this.place.turn + 1) % 4; this.draw(); }
  flip() { this.place.flip = !this.place.flip; this.draw(); }
  clearLines() { this.state.lines = []; this.draw(); }
  fullSize() { this.zoomBy(1 / (this.scale() / (this.facts.shrunk ?? 1))); } // a pixel of the film is one of the screen

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

  // Window and level over 0..255, as a table of 256 values.
  table() {
    const { window, level, invert } = this.settings;
    const table = new Uint8ClampedArray(256);
    for (let value = 0; value < 256; value++) {
      const share = (value / 255 - level) / window + 0.5;
      table[value] = 255 * (invert ? 1 - share : share);
    }
    return table;
  }

  develop() {
    const film = this.pictures.film;
    if (!film) { this.shown = null; this.draw(); return; }
    const sheet = new OffscreenCanvas(film.width, film.height);
    const context = sheet.getContext("2d", { willReadFrequently: true });
    context.drawImage(film, 0, 0);
    const pixels = context.getImageData(0, 0, film.width, film.height);
    const table = this.table(), data = pixels.data;
    for (let at = 0; at < data.length; at += 4) data[at] = data[at + 1] = data[at + 2] = table[data[at]];
    context.putImageData(pixels, 0, 0);
    this.shown = sheet;
    this.draw();
  }

  // Screen pixels of a pixel of the film.
  scale() {
    const { width, height } = this.shown ?? { width: 1, height: 1 }, lying = this.place.turn % 2;
    return Math.min(this.canvas.width / (lying ? height : width), this.canvas.height / (lying ? width : height)) * this.place.zoom;
  }

  // From pixels of the film to those of the canvas.
  matrix() {
    const { x, y, turn, flip } = this.place, density = window.devicePixelRatio || 1, scale = this.scale();
    return new DOMMatrix().translate(this.canvas.width / 2 + x * density, this.canvas.height / 2 + y * density)
      .rotate(90 * turn).scale(flip ? -scale : scale, scale).translate(-this.shown.width / 2, -this.shown.height / 2);
  }

  onFilm(event) {
    const density = window.devicePixelRatio || 1;
    return this.matrix().inverse().transformPoint({ x: event.offsetX * density, y: event.offsetY * density });
  }

  draw() {
    const canvas = this.canvas, rect = canvas.getBoundingClientRect(), density = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(rect.width * density));
    canvas.height = Math.max(1, Math.round(rect.height * density));
    const context = canvas.getContext("2d");
    if (!this.shown) return;
    this.drawFilm(context, this.matrix());
    if (this.settings.magnifier && this.pointer) this.drawMagnifier(context, density);
    this.drawLines(context, density);
    this.drawMarks(context, density);
  }

  drawFilm(context, matrix) {
    const { width, height } = this.shown, { cut, outline } = this.settings, { pictures } = this;
    context.save();
    context.setTransform(matrix);
    context.imageSmoothingEnabled = this.scale() < 3;
    context.drawImage(this.shown, 0, 0);
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
  drawLines(context, density) {
    const matrix = this.matrix();
    context.strokeStyle = context.fillStyle = "#ffd75e";
    context.lineWidth = 2 * density;
    context.font = `${14 * density}px system-ui, sans-serif`;
    for (const line of this.state.lines) {
      const points = line.map((point) => matrix.transformPoint(point));
      context.beginPath();
      points.forEach(({ x, y }, at) => at ? context.lineTo(x, y) : context.moveTo(x, y));
      context.stroke();
      for (const { x, y } of points) context.fillRect(x - 2 * density, y - 2 * density, 4 * density, 4 * density);
      if (line.length > 1) context.fillText(this.measureOf(line), points.at(-1).x + 8 * density, points.at(-1).y - 8 * density);
    }
  }

  measureOf([one, two, three]) {
    if (three) {
      const angle = Math.atan2(three.y - two.y, three.x - two.x) - Math.atan2(one.y - two.y, one.x - two.x), degrees = Math.abs(angle * 180 / Math.PI) % 360;
      return `${(degrees > 180 ? 360 - degrees : degrees).toFixed(1)}°`;
    }
    const length = Math.hypot(two.x - one.x, two.y - one.y), { mm, shrunk } = this.facts;
    return mm ? `${(length * mm).toFixed(0)} mm` : `${(length * (shrunk ?? 1)).toFixed(0)} px`;
  }

  // The patient's sides, and a scale where the size of a pixel is known.
  drawMarks(context, density) {
    const matrix = this.matrix(), { width, height } = this.shown;
    context.font = `600 ${15 * density}px system-ui, sans-serif`;
    context.textAlign = "center";
    for (const [letter, at] of [["R", 0.02], ["L", 0.98]]) {
      const { x, y } = matrix.transformPoint({ x: width * at, y: height * 0.5 });
      context.lineWidth = 3 * density;
      context.strokeStyle = "#000";
      context.strokeText(letter, x, y);
      context.fillStyle = "#40e0ff";
      context.fillText(letter, x, y);
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
    canvas.addEventListener("pointerleave", () => { this.pointer = null; if (this.settings.magnifier) this.draw(); });
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
      this.settings.window = Math.min(2, Math.max(0.01, this.settings.window * Math.exp(dx / 200)));
      this.settings.level = Math.min(1, Math.max(0, this.settings.level + dy / 400));
      this.changed(this.settings);
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
