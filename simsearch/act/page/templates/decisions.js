// What was decided, kept in the browser where it allows that, and what may be decided at all.

const WORDS = { "remove": "to remove", "keep": "both stay", "not-duplicates": "not duplicates" };
const UNDONE = 2000; // steps that can be undone

class Decisions {
  constructor(pairs, report, changed) {
    this.pairs = pairs;
    this.place = `simsearch-duplicates-${report}`;
    this.changed = changed;
    this.stored = true;
    this.clear();
    this.load();
    window.addEventListener("storage", (event) => {
      if (event.key !== this.place) return;
      this.load();
      changed();
    });
  }

  clear() {
    this.by = "";
    this.words = new Map(); // by pair
    this.swapped = new Map(); // by pair: the pair of its group whose other picture stays instead
    this.seen = new Set();
    this.log = [];
    this.saved = 0; // decisions in the file that was downloaded last
  }

  load() {
    try {
      const text = localStorage.getItem(this.place), held = text === null ? null : JSON.parse(text);
      if (held === null) { localStorage.setItem(`${this.place}-asked`, ""); localStorage.removeItem(`${this.place}-asked`); return; }
      const known = (i) => Number.isInteger(i) && i >= 0 && i < this.pairs.length;
      this.clear();
      this.by = String(held.by || "");
      this.words = new Map(held.words.filter(([i, word]) => known(i) && word in WORDS));
      this.swapped = new Map(held.swapped.filter(([i, j]) => known(i) && known(j)));
      this.seen = new Set(held.seen.filter(known));
      this.log = held.log.filter((step) => Array.isArray(step) && step.every(([i]) => known(i)));
      this.saved = Number(held.saved) || 0;
    } catch (error) {
      this.stored = false;
    }
  }

  store() {
    const { by, saved } = this;
    const held = { by, saved, words: [...this.words], swapped: [...this.swapped], seen: [...this.seen], log: this.log };
    try {
      localStorage.setItem(this.place, JSON.stringify(held));
      this.stored = true;
    } catch (error) {
      this.stored = false;
    }
  }

  // Which picture stays and which is the other one, as it stands now; measured is whether their own distance is known.
  sides(pair) {
    const by = this.swapped.get(pair.index);
    if (by === undefined) return { stays: pair.kept, goes: pair.other, measured: true };
    if (by === pair.index) return { stays: pair.other, goes: pair.kept, measured: true };
    return { stays: this.pairs[by].other, goes: pair.other, measured: false };
  }

  removals(except) {
    const found = [];
    for (const [i, word] of this.words) {
      if (word === "remove" && i !== except) found.push({ number: i + 1, ...this.sides(this.pairs[i]) });
    }
    return found;
  }

  // Why a pair cannot be decided so; empty where it can.
  problem(pair, word, removals = null) {
    const { stays, goes } = this.sides(pair);
    if (!stays.sha256 || !goes.sha256) return "the SHA-256 of one of them is not known, and decisions go by it";
    if (word === "not-duplicates" && stays.sha256 === goes.sha256) return "they have the same bytes: keep both (k) instead";
    if (word !== "remove") return "";
    if (pair.same_file) return "both are one file by two names: removing one frees nothing";
    if (goes.fixed) return `${goes.name} cannot be removed: ${goes.fixed}`;
    if (goes.key === stays.key) return "both are one path";
    for (const one of removals || this.removals(pair.index)) {
      if (one.goes.key === stays.key) return `${stays.name} itself goes by pair ${one.number}: undo that, or swap`;
      if (one.stays.key === goes.key) return `${goes.name} stays by pair ${one.number}: undo that first`;
    }
    return "";
  }

  decide(pair, word) {
    const problem = this.problem(pair, word);
    if (!problem) this.apply([pair], (one) => this.words.set(one.index, word));
    return problem;
  }

  // Of undecided pairs those that can all be removed together.
  removable(pairs) {
    const able = [], gone = new Map(), staying = new Map();
    const take = ({ stays, goes }, number) => { gone.set(goes.key, number); staying.set(stays.key, number); };
    for (const one of this.removals()) take(one, one.number);
    for (const pair of pairs) {
      const sides = this.sides(pair);
      if (this.problem(pair, "remove", []) || gone.has(sides.stays.key) || staying.has(sides.goes.key)) continue;
      able.push(pair);
      take(sides, pair.index + 1);
    }
    return able;
  }

  // Decide many at once, as one step.
  removeAll(pairs) {
    if (pairs.length) this.apply(pairs, (one) => this.words.set(one.index, "remove"));
  }

  swap(pair) {
    if (this.words.has(pair.index)) return "it is decided: undo that first";
    const by = this.swapped.get(pair.index) === pair.index ? undefined : pair.index;
    const open = pair.siblings.filter((one) => !this.words.has(one.index));
    this.apply(open, (one) => {
      if (by === undefined) this.swapped.delete(one.index);
      else this.swapped.set(one.index, by);
      this.seen.delete(one.index);
    });
    return "";
  }

  apply(pairs, change) {
    const step = pairs.map(({ index }) => [index, this.words.get(index) ?? null, this.swapped.get(index) ?? null]);
    pairs.forEach(change);
    this.log.push(step);
    if (this.log.length > UNDONE) this.log.shift();
    this.store();
    this.changed();
  }

  // Take the last step back; return its pairs.
  undo() {
    const step = this.log.pop();
    if (!step) return [];
    for (const [index, word, by] of step) {
      if (word === null) this.words.delete(index); else this.words.set(index, word);
      if (by === null) this.swapped.delete(index); else this.swapped.set(index, by);
    }
    this.store();
    this.changed();
    return step.map(([index]) => this.pairs[index]);
  }

  see(pair) {
    if (this.seen.has(pair.index)) return;
    this.seen.add(pair.index);
    this.store();
  }

  get freed() {
    const gone = new Map(this.removals().map(({ goes }) => [goes.key, goes.bytes]));
    return [...gone.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  toFile(facts, report) {
    const decisions = [...this.words].sort((a, b) => a[0] - b[0]).map(([index, word]) => {
      const pair = this.pairs[index], { stays, goes, measured } = this.sides(pair);
      const named = { kept_path: stays.path, other_path: goes.path };
      if (stays.path_b64) named.kept_path_b64 = stays.path_b64;
      if (goes.path_b64) named.other_path_b64 = goes.path_b64;
      return { verdict: word, kept: stays.sha256, other: goes.sha256, ...named, distance: measured ? pair.distance : null, channel: facts.channel };
    });
    const by = named(this.by), library = facts.library, written = new Date().toISOString();
    return { schema: 1, kind: "duplicates", by: by || null, library, report, written, decisions };
  }
}

// A name without characters that the log of verdicts would refuse.
function named(text) {
  return text.replace(/[\p{Z}\p{Cc}]+/gu, " ").replace(/\p{C}/gu, "").trim().slice(0, 200);
}
