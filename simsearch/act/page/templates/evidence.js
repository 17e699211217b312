// The page of one match.

const told = JSON.parse(byId("match").dataset.facts);
const pictures = [...document.querySelectorAll("#plain image")].map((image) => image.getAttribute("href"));

// The first picture laid on the second by the map that keypoints agree on; null where there is none.
function aligned(first, second, chart, view) {
  if (!chart) return null;
  const made = document.createElement("canvas"), [w, h] = sizeOf(first);
  [made.width, made.height] = sizeOf(second);
  const context = made.getContext("2d"), own = Math.max(w, h), other = Math.max(made.width, made.height);
  const [[a, c, e], [b, d, f]] = chart, scale = other / own;
  context.setTransform(a * scale, b * scale, c * scale, d * scale, e * other, f * other);
  if (view === "mirrored") context.transform(-1, 0, 0, 1, w, 0);
  if (view === "inverted") context.filter = "invert(1)";
  context.imageSmoothingQuality = "high";
  context.drawImage(first, 0, 0);
  return made;
}

async function start() {
  const [first, second] = await Promise.all(pictures.map(loaded));
  if (!first || !second) return;
  byId("plain").hidden = true;
  byId("app").hidden = false;
  const viewer = new Viewer(byId("canvas"), byId("measure"));
  viewer.names = ["first", "second"];
  byId("mix-words").textContent = "first – second";
  viewer.outlines = told.corners || [null, null];
  viewer.laid = aligned(first, second, told.chart, told.view);
  onKeys(controls(viewer));
  viewer.show(first, second, "");
  document.body.dataset.ready = "";
}

start();
