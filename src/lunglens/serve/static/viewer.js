// The film on a canvas: window and level, inversion, zoom and pan, outline, heat, and the cut image beside the film.
"use strict";

class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.pictures = {};
    this.shown = null; // the film after window and level
    this.settings = { window: 1, level: 0.5, heat: 0.5, cut: 0, outline: true, invert: false };
    this.reset();
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  open(pictures) {
    this.pictures = pictures;
    this.reset();
    this.develop();
  }

  set(name, value) {
    this.settings[name] = value;
    if (["window", "level", "invert"].includes(name)) this.develop();
    else this.draw();
  }

  reset() {
    this.zoom = 1;
    this.x = 0;
    this.y = 0;
    this.draw();
  }

  zoomBy(factor, at) {
    const zoom = Math.min(20, Math.max(0.5, this.zoom * factor));
    const rect = this.canvas.getBoundingClientRect();
    const point = at || { x: rect.width / 2, y: rect.height / 2 };
    const dx = point.x - rect.width / 2 - this.x, dy = point.y - rect.height / 2 - this.y;
    this.x -= dx * (zoom / this.zoom - 1);
    this.y -= dy * (zoom / this.zoom - 1);
    this.zoom = zoom;
    this.draw();
  }

  panBy(dx, dy) {
    this.x += dx;
    this.y += dy;
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

  draw() {
    const canvas = this.canvas, rect = canvas.getBoundingClientRect(), density = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(rect.width * density));
    canvas.height = Math.max(1, Math.round(rect.height * density));
    const context = canvas.getContext("2d");
    if (!this.shown) return;
    const { width, height } = this.shown;
    const fit = Math.min(canvas.width / width, canvas.height / height) * this.zoom;
    context.translate(canvas.width / 2 + this.x * density, canvas.height / 2 + this.y * density);
    context.scale(fit, fit);
    context.translate(-width / 2, -height / 2);
    context.imageSmoothingEnabled = fit < 3;
    context.drawImage(this.shown, 0, 0);
    const { heat, cut, outline } = this.settings, { pictures } = this;
    if (pictures.seen && cut > 0) {
      context.save();
      context.beginPath();
      context.rect(0, 0, width * cut, height);
      context.clip();
      context.drawImage(pictures.seen, 0, 0, width, height);
      context.restore();
      context.fillStyle = "#40e0ff";
      context.fillRect(width * cut - 1 / fit, 0, 2 / fit, height);
    }
    if (pictures.heat && heat > 0) {
      context.globalAlpha = heat;
      context.drawImage(pictures.heat, 0, 0, width, height);
      context.globalAlpha = 1;
    }
    if (pictures.lungs && outline) context.drawImage(pictures.lungs, 0, 0, width, height);
  }

  listen() {
    const { canvas } = this, fingers = new Map();
    canvas.addEventListener("pointerdown", (event) => { fingers.set(event.pointerId, event); canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      if (fingers.size === 2) {
        const [other] = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
        const span = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
        this.zoomBy(span(event) / span(before));
      } else {
        this.panBy(event.clientX - before.clientX, event.clientY - before.clientY);
      }
      fingers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, { x: event.offsetX, y: event.offsetY });
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [30, 0], ArrowRight: [-30, 0], ArrowUp: [0, 30], ArrowDown: [0, -30] }[event.key];
      if (step) { event.preventDefault(); this.panBy(...step); }
    });
  }
}
