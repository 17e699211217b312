// The page: what is shown, what keys and buttons do.

const pairs = readPairs(), facts = JSON.parse(byId("pairs").dataset.facts), report = byId("end").dataset.report;
const leftOut = Number(byId("end").dataset.leftOut);
let order = [], current = null, filter = readFilter(), shown = 0, listing = false;

const decisions = new Decisions(pairs, report, () => refresh());
const viewer = new Viewer(byId("canvas"), byId("measure"));
const list = new PairList(decisions, facts, (pair) => { tab(false); open(pair); }, () => about());
const images = new Map(); // the last few, decoded

function image(side) {
  const held = images.get(side.key) || loaded(side.source);
  images.delete(side.key);
  images.set(side.key, held);
  if (images.size > 24) images.delete(images.keys().next().value);
  return held;
}

function say(text) {
  const message = byId("message");
  message.textContent = text;
  message.classList.toggle("on", Boolean(text));
  clearTimeout(say.timer);
  say.timer = setTimeout(() => message.classList.remove("on"), 2500);
}

async function open(pair) {
  current = pair;
  if (!pair) return describe();
  const turn = ++shown, { stays, goes } = decisions.sides(pair);
  viewer.fit();
  describe();
  const two = await Promise.all([image(stays), image(goes)]);
  if (turn !== shown) return;
  const by = decisions.swapped.get(pair.index), view = by === undefined ? pair.view : by === pair.index ? INVERSE[pair.view] || pair.view : "";
  viewer.show(two[0], two[1], view);
  document.body.dataset.pair = String(pair.index); // painted
  clearTimeout(open.timer);
  if (two.every(Boolean)) open.timer = setTimeout(() => { if (turn === shown && !document.hidden && !listing) decisions.see(pair); }, DWELL_MS);
  const next = order[order.indexOf(pair) + 1];
  if (next) { const sides = decisions.sides(next); image(sides.stays); image(sides.goes); }
}

function describe() {
  byId("empty").hidden = current !== null;
  byId("one").classList.toggle("nothing", current === null);
  if (current === null) {
    viewer.show(null, null, "");
    byId("empty").textContent = pairs.length ? (filter.state === "open" && decisions.words.size === pairs.length ? "All pairs are decided. Download the decisions." : "No pair passes the filter.") : "There is no pair to decide.";
    for (const id of ["where", "worth", "why"]) byId(id).textContent = "";
    byId("badges").replaceChildren();
    byId("facts").replaceChildren();
    return;
  }
  const pair = current, sides = decisions.sides(pair), word = decisions.words.get(pair.index), at = order.indexOf(pair);
  const place = at < 0 ? "" : order.length === pairs.length ? "" : `, ${at + 1} of ${order.length} that pass the filter`;
  byId("where").textContent = `Pair ${pair.index + 1} of ${pairs.length}${place}`;
  byId("worth").textContent = [distanceInWords(pair, sides, facts), sides.measured ? pair.worth : ""].filter(Boolean).join(" · ");
  const badges = [[word ? WORDS[word] : "", word], [pair.exact ? "exact copy" : "", "exact"], [pair.view ? `near when ${pair.view}` : "", "view"], [pair.same_file ? "one file, two names" : "", "linked"], [pair.chained ? "only linked" : "", "linked"]];
  byId("badges").replaceChildren(...badges.filter(([text]) => text).map(([text, kind]) => element("b", { className: `badge ${kind}`, textContent: text })));
  byId("other-tag").textContent = word === "remove" ? "goes" : word ? "stays" : "other";
  document.body.dataset.word = word || "";
  byId("why").textContent = sides.measured && sides.stays === pair.kept ? (pair.why ? `Kept${facts.keep ? ` by the rule ${facts.keep}` : ""}: ${pair.why}.` : "") : "You chose which one stays.";
  byId("facts").replaceChildren(...rows(sides));
  byId("canvas").setAttribute("aria-label", `${sides.stays.name} beside ${sides.goes.name}`);
  for (const name of ["remove", "keep", "not-duplicates"]) {
    const problem = decisions.problem(pair, name), button = byId(`do-${name}`);
    button.setAttribute("aria-disabled", String(Boolean(problem)));
    button.title = problem;
    button.setAttribute("aria-pressed", String(word === name));
  }
}

function rows({ stays, goes }) {
  const line = (label, one, two, better) => element("tr", {},
    element("td", { className: better > 0 ? "more" : "" }, one), element("th", { scope: "row", textContent: label }), element("td", { className: better < 0 ? "more" : "" }, two));
  const sign = (name) => Math.sign((stays[name] || 0) - (goes[name] || 0));
  return [
    line("file", bdi(stays, ""), bdi(goes, ""), 0),
    line("size", stays.pixels || "?", goes.pixels || "?", sign("area")),
    line("bytes", bytesInWords(stays.bytes), bytesInWords(goes.bytes), sign("bytes")),
    line("format", stays.format || "?", goes.format || "?", 0),
    line("quality", stays.quality || "?", goes.quality || "?", 0),
    line("changed", stays.modified || "?", goes.modified || "?", 0),
  ];
}

function refresh() {
  const done = decisions.words.size, counts = {};
  for (const word of decisions.words.values()) counts[word] = (counts[word] || 0) + 1;
  byId("progress").max = Math.max(1, pairs.length);
  byId("progress").value = done;
  const parts = [`${done} of ${pairs.length} decided`];
  if (counts.remove) parts.push(`${counts.remove} to remove, frees ${bytesInWords(decisions.freed)}`);
  byId("counts").textContent = parts.join(" · ");
  byId("do-undo").disabled = !decisions.log.length;
  const warning = decisions.stored ? "" : "This browser keeps nothing for this page: download the decisions before you close it.";
  byId("warning").textContent = warning;
  byId("warning").hidden = !warning;
  if (document.activeElement !== byId("by")) byId("by").value = decisions.by;
  if (listing) for (const pair of order) list.update(pair);
  about();
}

function about() {
  const many = listing ? bulkPairs(order, decisions).length : 0;
  const set = Object.entries(filter).filter(([name, value]) => value !== null && value !== "" && name !== "sort").length;
  byId("bulk").textContent = `Remove the others of ${many} pairs seen …`;
  byId("bulk").disabled = !many;
  byId("filtered").textContent = `Filter and order: ${order.length === pairs.length ? `all ${pairs.length} pairs` : `${order.length} of ${pairs.length} pairs`}${set ? " (filter on)" : ""}${leftOut ? `; ${leftOut.toLocaleString("en")} more are not on this page` : ""}`;
}

function choose() {
  filter = readFilter();
  order = chosen(pairs, decisions, filter);
  if (listing) list.show(order);
  refresh();
  if (!order.includes(current)) open(order.find((pair) => !decisions.words.has(pair.index)) || order[0] || null);
  else describe();
}

// The next pair of the order that is undecided, from the one at a place on, then from the start.
function undecided(from) {
  const after = [...order.slice(from), ...order.slice(0, from)];
  return after.find((pair) => !decisions.words.has(pair.index));
}

// The pair that keys act on: of the list the one whose row has the focus.
function acted() {
  return listing ? document.activeElement.closest("#rows li")?.pair : current;
}

function decide(word) {
  const pair = acted();
  if (!pair) return;
  const at = order.indexOf(pair), problem = decisions.decide(pair, word);
  if (problem) return say(`Not decided: ${problem}.`);
  const left = pairs.length - decisions.words.size;
  say(`Pair ${pair.index + 1}: ${WORDS[word]}. ${left} left.`);
  const next = undecided(at + 1);
  if (listing) return about(), next && list.row(next).focus();
  if (filter.state) order = chosen(pairs, decisions, filter);
  about();
  if (next) open(next);
  else if (filter.state) open(order[0] || null);
  else { describe(); say(left ? "No undecided pair passes the filter." : "All pairs are decided. Download the decisions."); }
}

function step(by) {
  if (!order.length || listing) return;
  const at = order.indexOf(current);
  open(order[Math.min(order.length - 1, Math.max(0, at + by))]);
}

function swap() {
  const pair = acted();
  if (!pair) return;
  const problem = decisions.swap(pair);
  if (problem) return say(`Not swapped: ${problem}.`);
  const more = pair.siblings.filter((one) => !decisions.words.has(one.index)).length - 1;
  say(`${decisions.sides(pair).stays.name} stays${more > 0 ? `, also in ${more} more of its group` : ""}.`);
  if (!listing) open(pair);
}

// What the Enter key does: opens the pair whose row has the focus, or goes to the next undecided one.
function enter() {
  const pair = listing ? acted() : undecided(order.indexOf(current) + 1);
  if (!pair) return;
  if (listing) tab(false);
  open(pair);
}

function undo() {
  const back = decisions.undo();
  if (!back.length) return say("Nothing to undo.");
  order = chosen(pairs, decisions, filter);
  if (listing) list.show(order);
  else open(back[0]);
  about();
  say(back.length === 1 ? `Pair ${back[0].index + 1} is as before.` : `${back.length} pairs are as before.`);
}

function tab(toList) {
  listing = toList;
  byId("one").hidden = toList;
  byId("list").hidden = !toList;
  byId("tab-one").setAttribute("aria-pressed", String(!toList));
  byId("tab-list").setAttribute("aria-pressed", String(toList));
  order = chosen(pairs, decisions, filter);
  if (toList) {
    list.show(order);
    if (current && order.includes(current)) list.row(current).scrollIntoView({ block: "center" });
  } else if (current) open(current);
  about();
}

function save() {
  decisions.by = named(byId("by").value);
  const told = JSON.stringify(decisions.toFile(facts, report), null, 1);
  const address = URL.createObjectURL(new Blob([`${told}\n`], { type: "application/json" }));
  const link = element("a", { href: address, download: `decisions-${new Date().toISOString().slice(0, 10)}.json` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  decisions.saved = decisions.words.size;
  decisions.store();
  refresh();
  say(`${decisions.words.size} decisions are in the file${decisions.by ? "" : "; it names nobody: fill in your name to have it there"}.`);
}

function removeMany() {
  const many = bulkPairs(order, decisions);
  byId("ask-words").textContent = `Mark the other picture of ${many.length} pairs for removal? These are the undecided ones that pass the filter and that you saw; ${order.length - many.length} of the ${order.length} listed are left as they are.`;
  byId("ask-yes").textContent = `Remove ${many.length}`;
  byId("ask-yes").onclick = () => {
    byId("ask").close();
    decisions.removeAll(many);
    choose();
    say(`${many.length} marked for removal. Undo takes all of them back.`);
  };
  byId("ask").showModal();
}

byId("plain").hidden = true;
byId("app").hidden = false;
document.body.classList.add("live");
byId("notes").append(...[...byId("end").children].map((note) => note.cloneNode(true)));
for (const [id, action] of Object.entries({
  "do-remove": () => decide("remove"), "do-keep": () => decide("keep"), "do-not-duplicates": () => decide("not-duplicates"),
  "do-swap": swap, "do-undo": undo, "do-previous": () => step(-1), "do-next": () => step(1), "save": save, "bulk": removeMany,
  "tab-one": () => tab(false), "tab-list": () => tab(true), "help": () => byId("keys").showModal(), "ask-no": () => byId("ask").close(),
})) byId(id).addEventListener("click", action);
byId("by").addEventListener("change", () => { decisions.by = named(byId("by").value); decisions.store(); refresh(); });
byId("filter-form").addEventListener("input", choose);
byId("filter-form").addEventListener("reset", () => setTimeout(choose));
byId("filter-form").addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("beforeunload", (event) => { if (!decisions.stored && decisions.words.size > decisions.saved) event.preventDefault(); });
if (matchMedia("(min-width: 900px)").matches) byId("filters").open = true;
onKeys({
  ...controls(viewer),
  r: () => decide("remove"), k: () => decide("keep"), n: () => decide("not-duplicates"), s: swap, u: undo,
  j: () => step(1), h: () => step(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  Enter: enter,
  l: () => tab(!listing), "?": () => byId("keys").showModal(),
});
choose();
