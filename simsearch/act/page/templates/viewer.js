// Two pictures on one canvas: beside each other, one over the other, or their difference, with one zoom for both.

// A view's matrix (a b c d), whether it swaps the sides, and where it starts, in widths and heights.
const VIEWS = {
  "mirrored": [-1, 0, 0, 1, 1, 0, false],
  "turned 90": [0, -1, 1, 0, 0, 1, true],
  "turned 180": [-1, 0, 0, -1, 1, 1, false],
  "turned 270": [0, 1, -1, 0, 1, 0, true],
  "mirrored, turned 90": [0, 1, 1, 0, 0, 0, true],
  "mirrored, turned 180": [1, 0, 0, -1, 0, 1, false],
  "mirrored, turned 270": [0, -1, -1, 0, 1, 1, true],
};
const INVERSE = { "turned 90": "turned 270", "turned 270": "turned 90" }; // any other undoes itself
const MOST_ZOOM = 24;
const ALIKE = 0.03; // shapes that differ by less count as one
const DIFFERENCE_SIDE = 480;

function seenIn(image, view) {
  const how = VIEWS[view];
  if (!how) return image;
  const [a, b, c, d, right, down, swaps] = how;
  const made = document.createElement("canvas");
  made.width = swaps ? image.naturalHeight : image.naturalWidth;
  made.height = swaps ? image.naturalWidth : image.naturalHeight;
  const context = made.getContext("2d");
  context.setTransform(a, b, c, d, right * made.width, down * made.height);
  context.drawImage(image, 0, 0);
  return made;
}

const sizeOf = (image) => [image.naturalWidth || image.width, image.naturalHeight || image.height];

class Viewer {
  constructor(canvas, measured) {
    this.canvas = canvas;
    this.measured = measured;
    this.mode = "side";
    this.mix = 0.5;
    this.blinking = false;
    this.blinked = false;
    this.gain = 4;
    this.stretch = false;
    this.names = ["stays", "other"];
    this.laid = null; // the first picture as it lies in the second, for overlay and difference
    this.outlines = [null, null];
    this.images = [null, null];
    this.fit();
    this.pointers = new Map();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
    setInterval(() => {
      if (!this.blinking || this.mode !== "overlay" || document.hidden) return;
      this.blinked = !this.blinked;
      this.draw();
    }, 600);
  }

  show(kept, other, view) {
    this.images = [kept, other && seenIn(other, view)];
    this.compared = null;
    this.draw();
  }

  fit() {
    this.zoom = 1;
    this.centre = [0.5, 0.5]; // in shares of the frame
    this.canvas.style.touchAction = "pan-y";
    this.draw();
  }

  set(values) {
    Object.assign(this, values);
    this.compared = null;
    this.draw();
  }

  // What lies over each other: the first picture, where it is known how, laid on the second.
  get layers() {
    return this.laid ? [this.laid, this.images[1]] : this.images;
  }

  // Width of the frame, of height 1, in which both pictures lie.
  get aspect() {
    const first = this.mode !== "side" && this.laid ? this.laid : this.images.find(Boolean);
    if (!first) return 1.5;
    const [w, h] = sizeOf(first);
    return w / h;
  }

  // Where a picture lies in the frame: x, y, width, height.
  place(image) {
    const [w, h] = sizeOf(image), own = w / h, frame = this.aspect;
    if (this.stretch || Math.abs(own / frame - 1) < ALIKE) return [0, 0, frame, 1];
    return own > frame ? [0, (1 - frame / own) / 2, frame, frame / own] : [(frame - own) / 2, 0, own, 1];
  }

  panels() {
    const { width, height } = this.canvas, gap = Math.round(6 * this.ratio);
    if (this.mode !== "side") return [[0, 0, width, height]];
    const beside = [(width - gap) / 2, height], below = [width, (height - gap) / 2];
    const largest = ([w, h]) => Math.min(w / this.aspect, h);
    if (largest(beside) >= largest(below)) return [[0, 0, ...beside], [beside[0] + gap, 0, ...beside]];
    return [[0, 0, ...below], [0, below[1] + gap, ...below]];
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  draw() {
    const box = this.canvas.getBoundingClientRect(), context = this.canvas.getContext("2d");
    if (!box.width || !box.height || !this.images) return;
    const wide = Math.round(box.width * this.ratio), high = Math.round(box.height * this.ratio);
    if (this.canvas.width !== wide) this.canvas.width = wide;
    if (this.canvas.height !== high) this.canvas.height = high;
    context.clearRect(0, 0, wide, high);
    this.measured.textContent = "";
    const panels = this.panels();
    if (this.mode === "side") panels.forEach((panel, i) => this.panel(context, panel, [[i, 1]], this.names[i]));
    else if (this.mode === "overlay") {
      const share = this.blinking ? Number(this.blinked) : this.mix;
      const name = share === 0 ? this.names[0] : share === 1 ? this.names[1] : "both";
      this.panel(context, panels[0], [[0, 1], [1, share]], name);
    } else this.panel(context, panels[0], null, "difference");
  }

  scaleIn([, , w, h]) {
    return Math.min(w / this.aspect, h) * this.zoom;
  }

  panel(context, panel, layers, name) {
    const [x, y, w, h] = panel, scale = this.scaleIn(panel);
    context.save();
    context.beginPath();
    context.rect(x, y, w, h);
    context.clip();
    context.translate(x + w / 2, y + h / 2);
    context.scale(scale, scale);
    context.translate(-this.centre[0] * this.aspect, -this.centre[1]);
    context.imageSmoothingQuality = "high";
    context.imageSmoothingEnabled = scale < 4 * DIFFERENCE_SIDE;
    if (layers === null) {
      const compared = this.difference();
      if (compared) context.drawImage(compared, 0, 0, this.aspect, 1);
    }
    for (const [i, share] of layers || []) {
      const image = (this.mode === "side" ? this.images : this.layers)[i];
      if (!image || !share) continue;
      context.globalAlpha = share;
      context.drawImage(image, ...this.place(image));
      if (this.outlines[i] && this.mode === "side") this.outline(context, this.outlines[i], this.place(image), scale);
    }
    context.restore();
    const missing = layers && layers.length === 1 && !this.images[layers[0][0]];
    this.label(context, missing ? `${name}: no preview` : name, x, y);
  }

  outline(context, corners, [x, y, w, h], scale) {
    context.beginPath();
    corners.forEach(([right, down]) => context.lineTo(x + right * w, y + down * h));
    context.closePath();
    for (const [colour, width] of [["#000a", 5], ["#ffd21f", 2.5]]) {
      context.lineWidth = width * this.ratio / scale;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  label(context, text, x, y) {
    const unit = this.ratio;
    context.font = `600 ${12 * unit}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 14 * unit;
    context.fillStyle = "#000b";
    context.beginPath();
    context.roundRect(x + 6 * unit, y + 6 * unit, wide, 22 * unit, 11 * unit);
    context.fill();
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(text, x + 13 * unit, y + 17.5 * unit);
  }

  difference() {
    const [kept, other] = this.layers;
    if (!kept || !other) return null;
    if (!this.compared) this.compared = this.compare(kept, other);
    this.measured.textContent = `differ by ${this.compared.mean.toFixed(1)} of 255 on average`;
    return this.compared.canvas;
  }

  // The pixels of a picture in the frame.
  pixels(image, width, height) {
    const canvas = element("canvas", { width, height }), frame = this.aspect;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.setTransform(width / frame, 0, 0, height, 0, 0);
    context.drawImage(image, ...this.place(image));
    return [canvas, context, context.getImageData(0, 0, width, height)];
  }

  compare(kept, other) {
    const frame = this.aspect, side = (share) => Math.max(1, Math.round(DIFFERENCE_SIDE * Math.min(1, share)));
    const size = [side(frame), side(1 / frame)];
    const [canvas, context, image] = this.pixels(kept, ...size), data = image.data, held = this.pixels(other, ...size)[2].data;
    let sum = 0, count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const both = data[at + 3] > 250 && held[at + 3] > 250;
      for (let c = at; c < at + 3; c++) {
        const apart = Math.abs(data[c] - held[c]);
        if (both) { sum += apart; count++; }
        data[c] = both ? apart * this.gain : 70;
      }
      data[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return { canvas, mean: count ? sum / count : 0 };
  }

  panelAt(x, y) {
    return this.panels().find(([left, top, w, h]) => x >= left && x <= left + w && y >= top && y <= top + h) || this.panels()[0];
  }

  // Zoom by a factor about a point of the canvas, in CSS pixels; without one about the middle.
  zoomBy(factor, at) {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.zoom * factor));
    if (at) {
      const [x, y] = at.map((value) => value * this.ratio), panel = this.panelAt(x, y);
      const away = [x - panel[0] - panel[2] / 2, y - panel[1] - panel[3] / 2];
      const before = this.scaleIn(panel), after = before / this.zoom * zoom;
      this.centre[0] += away[0] * (1 / before - 1 / after) / this.aspect;
      this.centre[1] += away[1] * (1 / before - 1 / after);
    }
    this.zoom = zoom;
    this.move(0, 0);
  }

  // Pan by CSS pixels.
  move(right, down) {
    const scale = this.scaleIn(this.panels()[0]);
    this.centre[0] -= right * this.ratio / scale / this.aspect;
    this.centre[1] -= down * this.ratio / scale;
    this.centre = this.zoom === 1 ? [0.5, 0.5] : this.centre.map((value) => Math.min(1, Math.max(0, value)));
    this.canvas.style.touchAction = this.zoom === 1 ? "pan-y" : "none";
    this.draw();
  }

  listen() {
    const canvas = this.canvas, at = (event) => [event.offsetX, event.offsetY];
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), at(event));
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => (this.zoom > 1 ? this.fit() : this.zoomBy(4, at(event))));
    canvas.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, at(event));
      canvas.setPointerCapture(event.pointerId);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = at(event), other = [...this.pointers.entries()].find(([id]) => id !== event.pointerId);
      if (other) {
        const apart = (one) => Math.hypot(one[0] - other[1][0], one[1] - other[1][1]) || 1;
        this.zoomBy(apart(now) / apart(before), other[1]);
      } else this.move(now[0] - before[0], now[1] - before[1]);
      this.pointers.set(event.pointerId, now);
    });
  }
}

// What buttons and keys do to a viewer, on every page that has one.
function controls(viewer) {
  const modes = [...document.querySelectorAll("[data-mode]")];
  const shows = () => {
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === viewer.mode));
    byId("mix-label").hidden = byId("blink-label").hidden = viewer.mode !== "overlay";
    byId("gain-label").hidden = viewer.mode !== "difference";
    byId("stretch-label").hidden = viewer.mode === "side";
    byId("blink").checked = viewer.blinking;
    byId("stretch").checked = viewer.stretch;
    byId("mix").disabled = viewer.blinking;
  };
  const set = (values) => { viewer.set(values); shows(); };
  for (const button of modes) button.addEventListener("click", () => set({ mode: button.dataset.mode }));
  byId("mix").addEventListener("input", (event) => set({ mix: event.target.value / 100 }));
  byId("blink").addEventListener("change", (event) => set({ blinking: event.target.checked }));
  byId("gain").addEventListener("change", (event) => set({ gain: Number(event.target.value) }));
  byId("stretch").addEventListener("change", (event) => set({ stretch: event.target.checked }));
  byId("zoom-in").addEventListener("click", () => viewer.zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => viewer.zoomBy(1 / 1.5));
  byId("zoom-fit").addEventListener("click", () => viewer.fit());
  return {
    1: () => set({ mode: "side" }),
    2: () => set({ mode: "overlay" }),
    3: () => set({ mode: "difference" }),
    b: () => set({ mode: "overlay", blinking: viewer.mode !== "overlay" || !viewer.blinking }),
    f: () => set({ stretch: !viewer.stretch }),
    "+": () => viewer.zoomBy(1.5),
    "=": () => viewer.zoomBy(1.5),
    "-": () => viewer.zoomBy(1 / 1.5),
    0: () => viewer.fit(),
    "Shift+ArrowLeft": () => viewer.move(60, 0),
    "Shift+ArrowRight": () => viewer.move(-60, 0),
    "Shift+ArrowUp": () => viewer.move(0, 60),
    "Shift+ArrowDown": () => viewer.move(0, -60),
  };
}

function onKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = event.target, key = event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${event.key}` : event.key;
    const typing = target.matches("input:not([type=checkbox]), select, textarea");
    const pressing = ["Enter", " "].includes(key) && target.matches("button, summary, a, input, select");
    const action = actions[key.length === 1 ? key.toLowerCase() : key];
    if (typing || pressing || !action) return;
    event.preventDefault();
    if (!event.repeat || key.includes("Arrow") || "+-=".includes(key)) action();
  });
}

const byId = (id) => document.getElementById(id);

function element(tag, values = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function loaded(source) {
  if (!source) return Promise.resolve(null);
  const image = new Image();
  image.src = source;
  return image.decode().then(() => image, () => null);
}
