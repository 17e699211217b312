// The review: the pair on the screen, the next ones fetched already, and what keys and buttons do.

const section = byId("pair"), plain = byId("plain"), AHEAD = 4;
let pairs = section ? JSON.parse(section.dataset.pairs) : [];
const pending = new Set(); // decided here, and not yet known to the service
const images = new Map();
let viewer = null, shown = 0, chain = Promise.resolve();

const keyOf = (pair) => `${pair.kept.sha256} ${pair.other.sha256}`;
const source = (side) => `/v1/items/${side.id}/thumbnail?side=512`;

function image(side) {
  const held = images.get(side.id) || loaded(source(side));
  images.delete(side.id);
  images.set(side.id, held);
  if (images.size > 24) images.delete(images.keys().next().value);
  return held;
}

function say(text) {
  byId("message").textContent = text;
  byId("message").classList.toggle("on", Boolean(text));
}

function bytesInWords(count) {
  if (count < 1000) return `${count} bytes`;
  let unit = 0, value = count;
  while (value >= 999.5 && unit < 4) { value /= 1000; unit++; }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${["", "kB", "MB", "GB", "TB"][unit]}`;
}

function about(side, what) {
  const facts = [side.width && side.height ? `${side.width} × ${side.height}` : "", side.bytes === null ? "" : bytesInWords(side.bytes),
    side.quality === null ? "" : `quality ${side.quality}`, `id ${side.id}`];
  return element("div", {}, element("b", { textContent: `${what} ` }), element("bdi", { textContent: side.path === null ? "no file" : side.path }),
    element("small", { textContent: facts.filter(Boolean).join(" · ") }));
}

function veil(on) {
  byId("app").classList.toggle("veiled", on);
  byId("veil").setAttribute("aria-pressed", String(on));
}

async function show() {
  const pair = pairs[0], turn = ++shown;
  for (const one of pairs.slice(0, 3)) { image(one.kept); image(one.other); }
  if (!pair) return;
  byId("distance").textContent = `distance ${pair.distance.toFixed(4)} by ${pair.metric} of ${pair.channel}`;
  byId("worth").textContent = pair.worth || "not known how often by chance";
  for (const old of section.querySelectorAll(".what .badge")) old.remove();
  const badge = (text, kind) => byId("worth").before(element("span", { className: `badge ${kind}`, textContent: text }));
  if (pair.view !== "plain") badge(`near when ${pair.view}`, "view");
  if (pair.listed) badge("on a block list", "linked");
  byId("about").replaceChildren(about(pair.kept, "first"), about(pair.other, "second"));
  const two = await Promise.all([image(pair.kept), image(pair.other)]);
  if (turn !== shown) return;
  veil(pair.listed);
  viewer.fit();
  viewer.show(two[0], two[1], pair.view);
  document.body.dataset.pair = keyOf(pair); // painted
}

// What a request says of the queue: the pairs that are ours now, without those decided here meanwhile.
function take(told) {
  const before = pairs[0] && keyOf(pairs[0]);
  pairs = told.pairs.filter((pair) => !pending.has(keyOf(pair)));
  byId("open").textContent = (told.open - pending.size).toLocaleString("en");
  byId("leased").textContent = told.leased.toLocaleString("en");
  byId("decided").textContent = (told.decided + pending.size).toLocaleString("en");
  if (!pairs.length && !pending.size) location.reload();
  else if (pairs[0] && keyOf(pairs[0]) !== before) show();
  else for (const one of pairs.slice(0, 3)) { image(one.kept); image(one.other); }
}

async function post(what, body) {
  const answer = await fetch(`/v1/review/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...body, count: AHEAD }) });
  if (answer.status === 401) location.assign("/sign-in?to=/review");
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error.message);
  return told;
}

// Requests go one after the other; the page does not wait for them.
function send(what, body, key) {
  chain = chain.then(async () => {
    let told = null;
    try {
      told = await post(what, body);
    } catch (error) {
      say(`Not kept: ${error.message}`);
    }
    if (key) pending.delete(key);
    if (!told) told = await post("next", {}).catch(() => null);
    if (told) take(told);
    document.body.dataset.sent = String(Number(document.body.dataset.sent || 0) + 1);
  });
}

function decide(decision) {
  const pair = pairs.shift();
  if (!pair) return say("The next pair is on its way.");
  const key = keyOf(pair);
  pending.add(key);
  say(decision === "skip" ? "Left for later." : decision === "confirm" ? "Kept: copies of one picture." : "Kept: not duplicates.");
  const body = { a: pair.kept.sha256, b: pair.other.sha256 };
  if (decision === "skip") send("skip", body, key);
  else send("decisions", { ...body, decision }, key);
  show();
}

function undo() {
  say("Your last verdict is taken back.");
  send("undo", {}, null);
}

async function watch(running) {
  for (;;) {
    await new Promise((later) => setTimeout(later, 700));
    const told = await fetch("/v1/review").then((answer) => (answer.ok ? answer.json() : null), () => null);
    if (!told || !told.search) continue;
    if (told.search.state !== "running") return section ? running.remove() : location.reload();
    running.querySelector("progress").max = told.search.of || 1;
    running.querySelector("progress").value = told.search.compared;
    byId("compared").textContent = told.search.compared.toLocaleString("en");
    if (told.search.of) byId("of").textContent = told.search.of.toLocaleString("en");
  }
}

if (section) {
  plain.hidden = true;
  byId("app").hidden = byId("about").hidden = byId("veil").hidden = false;
  viewer = new Viewer(byId("canvas"), byId("measure"));
  viewer.names = ["first", "second"];
  byId("mix-words").textContent = "first – second";
  const toggle = () => veil(!byId("app").classList.contains("veiled"));
  const acts = { confirm: () => decide("confirm"), reject: () => decide("reject"), skip: () => decide("skip"), undo };
  byId("decide").addEventListener("submit", (event) => {
    event.preventDefault();
    acts[event.submitter ? event.submitter.value : "confirm"]();
  });
  byId("veil").addEventListener("click", toggle);
  onKeys({ ...controls(viewer), k: acts.confirm, n: acts.reject, s: acts.skip, u: undo, v: toggle });
  show();
}
if (byId("running")) watch(byId("running"));
