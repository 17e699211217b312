// The pairs of the page, as its table has them.

class Side {
  constructor(row) {
    Object.assign(this, JSON.parse(row.dataset.side));
    const image = row.querySelector("img");
    this.source = image ? image.getAttribute("src") : "";
    this.key = this.path_b64 || this.path;
  }
}

function readPairs() {
  const pairs = [];
  for (const body of document.querySelectorAll("#pairs tbody")) {
    let kept = null;
    for (const row of body.rows) {
      if (row.classList.contains("kept")) { kept = new Side(row); continue; }
      const pair = JSON.parse(row.dataset.pair);
      pairs.push(Object.assign(pair, { kept, other: new Side(row), group: body, index: pairs.length }));
    }
  }
  const groups = new Map();
  for (const pair of pairs) {
    if (!groups.has(pair.group)) groups.set(pair.group, []);
    groups.get(pair.group).push(pair);
  }
  for (const pair of pairs) pair.siblings = groups.get(pair.group);
  return pairs;
}

function bytesInWords(count) {
  if (count < 1000) return `${count}\u00a0bytes`;
  let unit = 0, value = count;
  while (value >= 999.5 && unit < 4) { value /= 1000; unit++; }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString("en")}\u00a0${["", "kB", "MB", "GB", "TB"][unit]}`;
}

function distanceInWords(pair, sides, facts) {
  const metric = [facts.metric, facts.channel].filter(Boolean).join(", ");
  if (sides.measured && pair.exact) return "the same bytes";
  if (!sides.measured) return "these two were not measured: each is near the one that was kept before";
  if (pair.distance === null) return "not near each other: only linked by others of the group";
  return `distance ${pair.distance.toFixed(4)}${metric ? ` (${metric})` : ""}`;
}
