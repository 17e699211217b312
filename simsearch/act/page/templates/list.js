// All pairs with small pictures: filters, order, and which of them were really on the screen.

const DWELL_MS = 400; // that both pictures must be on the screen to count as seen

function passes(pair, decisions, filter) {
  const word = decisions.words.get(pair.index);
  const states = { "": true, "open": !word, "decided": Boolean(word), "remove": word === "remove" };
  const kinds = { "": true, "exact": pair.exact, "linked": pair.chained, "near": !pair.exact && !pair.chained };
  if (!states[filter.state] || !kinds[filter.kind]) return false;
  if (filter.least !== null && !(pair.distance !== null && pair.distance >= filter.least)) return false;
  if (filter.most !== null && !(pair.distance !== null && pair.distance <= filter.most)) return false;
  const text = filter.text.toLowerCase();
  return !text || [pair.kept, pair.other].some((side) => side.shown.toLowerCase().includes(text));
}

const ORDERS = {
  "": (a, b) => a.index - b.index,
  "path": (a, b) => (a.other.shown < b.other.shown ? -1 : Number(a.other.shown > b.other.shown)),
  "bytes": (a, b) => b.other.bytes - a.other.bytes,
  "distance": (a, b) => (a.distance ?? Infinity) - (b.distance ?? Infinity) || 0,
  "-distance": (a, b) => (b.distance ?? -1) - (a.distance ?? -1),
};

function chosen(pairs, decisions, filter) {
  return pairs.filter((pair) => passes(pair, decisions, filter)).sort((a, b) => ORDERS[filter.sort](a, b) || a.index - b.index);
}

function readFilter() {
  const number = (id) => (byId(id).value === "" ? null : Number(byId(id).value));
  return {
    state: byId("f-state").value, kind: byId("f-kind").value, least: number("f-least"), most: number("f-most"),
    text: byId("f-text").value.trim(), sort: byId("f-sort").value,
  };
}

class PairList {
  constructor(decisions, facts, opened, saw) {
    this.decisions = decisions;
    this.facts = facts;
    this.opened = opened;
    this.sawMore = saw;
    this.rows = new Map();
    this.visible = new Map(); // pictures of a row that are on the screen
    this.waiting = new Map();
    this.watch = new IntersectionObserver((entries) => this.watched(entries), { threshold: 0.95 });
  }

  row(pair) {
    if (!this.rows.has(pair)) this.rows.set(pair, this.made(pair));
    return this.rows.get(pair);
  }

  made(pair) {
    const pictures = element("div", { className: "pictures" });
    const row = element("li", { tabIndex: 0 },
      pictures,
      element("div", { className: "words" }, element("p", { className: "names" }), element("p", { className: "note" }), element("p", { className: "verdict" })),
      element("button", { type: "button", textContent: "Open", "aria-label": `Open pair ${pair.index + 1}` }));
    row.pair = pair;
    row.querySelector("button").addEventListener("click", () => this.opened(pair));
    pictures.addEventListener("click", () => this.opened(pair));
    return row;
  }

  show(pairs) {
    this.watch.disconnect();
    this.waiting.forEach(clearTimeout);
    this.waiting.clear();
    this.visible.clear();
    byId("rows").replaceChildren(...pairs.map((pair) => this.row(pair)));
    for (const pair of pairs) {
      this.update(pair);
      for (const image of this.row(pair).querySelectorAll("img")) {
        image.pair = pair;
        this.watch.observe(image);
      }
    }
  }

  update(pair) {
    const row = this.row(pair), { stays, goes } = this.decisions.sides(pair), word = this.decisions.words.get(pair.index);
    const pictures = row.querySelector(".pictures");
    if (row.stays !== stays || row.goes !== goes) {
      [row.stays, row.goes] = [stays, goes];
      pictures.replaceChildren(...[stays, goes].map((side) => (side.source
        ? element("img", { loading: "lazy", decoding: "async", alt: side.name, src: side.source })
        : element("span", { className: "blank", textContent: "no preview" }))));
      const [names, note] = row.querySelectorAll("p");
      names.replaceChildren(bdi(stays, "stays"), bdi(goes, "goes"));
      const told = [distanceInWords(pair, this.decisions.sides(pair), this.facts), pair.view, bytesInWords(goes.bytes)];
      note.textContent = `${pair.index + 1} · ${told.filter(Boolean).join(" · ")}`;
    }
    row.dataset.word = word || "";
    row.querySelector(".verdict").textContent = word ? WORDS[word] : this.decisions.seen.has(pair.index) ? "undecided" : "undecided, not seen yet";
  }

  watched(entries) {
    for (const { target, isIntersecting, intersectionRatio } of entries) {
      const there = this.visible.get(target.pair) || new Set();
      if (isIntersecting && intersectionRatio >= 0.95) there.add(target); else there.delete(target);
      this.visible.set(target.pair, there);
      clearTimeout(this.waiting.get(target.pair));
      if (there.size === 2) this.waiting.set(target.pair, setTimeout(() => this.saw(target.pair), DWELL_MS));
    }
  }

  saw(pair) {
    const images = [...this.row(pair).querySelectorAll("img")];
    if (document.hidden || !images.every((image) => image.complete && image.naturalWidth)) return;
    this.decisions.see(pair);
    this.update(pair);
    this.sawMore();
  }
}

function bdi(side, role) {
  const link = side.address ? element("a", { href: side.address, textContent: side.name, target: "_blank", rel: "noreferrer" }) : element("b", { textContent: side.name });
  return element("span", { className: role, title: side.shown }, element("bdi", { dir: "ltr" }, link), element("bdi", { dir: "ltr", className: "folder", textContent: side.folder }));
}

// What a button for many would remove: undecided, seen, passing the filter, measured, and not refused one by one.
function bulkPairs(pairs, decisions) {
  const able = pairs.filter((pair) => !decisions.words.has(pair.index) && decisions.seen.has(pair.index) && !pair.chained && decisions.sides(pair).measured);
  return decisions.removable(able);
}
