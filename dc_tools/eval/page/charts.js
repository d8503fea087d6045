/* Line charts of a training run: one metric each, one line per run, values at the pointer or the arrow keys. */
const NS = "http://www.w3.org/2000/svg";
const COLOURS = 6;
const SHOWN = 10;

function svg(name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/* About `count` round numbers that span low..high. */
function ticks(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => span / s <= count) || 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let i = first; i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(1).replace("e-", "e−");
  return String(+value.toPrecision(4)).replace("-", "−");
}

/* A centred mean over about a twentieth of the points. */
function smooth(points) {
  const reach = Math.floor(points.length / 40);
  if (!reach) return points;
  return points.map(([step], i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1);
    return [step, near.reduce((sum, p) => sum + p[1], 0) / near.length];
  });
}

function bounds(series) {
  const all = series.flat();
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of all) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
  if (y0 >= 0 && y0 < 0.5 * y1) y0 = 0;
  const room = (y1 - y0 || Math.abs(y1) || 1) * 0.06;
  return { x0, x1: x1 > x0 ? x1 : x0 + 1, y0: y0 === 0 ? 0 : y0 - room, y1: y1 + room };
}

function nearest(points, x) {
  let best = null;
  for (const point of points) if (!best || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  return best;
}

function label(name) {
  const known = { lr: "learning rate", grad_norm: "gradient norm", tokens_per_s: "tokens per second", truncated: "truncated share" };
  const text = known[name] || name.replace(/_s$/, " seconds").replace(/_mb$/, " MiB").replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

function chart(metric, runs, big) {
  const [width, height] = big ? [1100, 300] : [350, 190];
  const box = { left: 46, right: width - 10, top: 8, bottom: height - 34 };
  const b = bounds(metric.series);
  const px = (x) => box.left + ((x - b.x0) / (b.x1 - b.x0)) * (box.right - box.left);
  const py = (y) => box.bottom - ((y - b.y0) / (b.y1 - b.y0)) * (box.bottom - box.top);
  const name = label(metric.name);
  const last = metric.series.map((p, i) => (p.length ? `${runs[i]} ends at ${short(p[p.length - 1][1])}` : "")).filter(Boolean);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": `${name} by step: ${last.join(", ")}` });
  for (const y of ticks(b.y0, b.y1, big ? 6 : 4)) {
    root.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: py(y), y2: py(y) }));
    root.append(svg("text", { x: box.left - 8, y: py(y) + 4, "text-anchor": "end" }, short(y)));
  }
  for (const x of ticks(b.x0, b.x1, big ? 10 : 5).filter(Number.isInteger)) {
    root.append(svg("line", { class: "base", x1: px(x), x2: px(x), y1: box.bottom, y2: box.bottom + 4 }));
    root.append(svg("text", { x: px(x), y: box.bottom + 17, "text-anchor": "middle" }, short(x)));
  }
  root.append(svg("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  root.append(svg("text", { x: box.right, y: height - 3, "text-anchor": "end" }, "step"));
  metric.series.forEach((points, i) => draw(root, points, `var(--s${i % COLOURS})`, px, py));
  return readable(root, metric, runs, name, { box, b, px, py, width }, big);
}

function draw(root, points, colour, px, py) {
  const line = (some) => some.map(([x, y], i) => `${i ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
  const mean = smooth(points);
  if (mean !== points) root.append(svg("path", { d: line(points), stroke: colour, "stroke-width": 1, opacity: 0.3 }));
  root.append(svg("path", { class: "curve", d: line(mean), stroke: colour, "stroke-width": 2 }));
  if (points.length === 1) root.append(svg("circle", { cx: px(points[0][0]), cy: py(points[0][1]), r: 3, fill: colour }));
}

/* The figure around a drawn chart, with the values at one step. */
function readable(root, metric, runs, name, at, big) {
  const out = el("output", {});
  const cross = svg("line", { class: "cross", y1: at.box.top, y2: at.box.bottom, visibility: "hidden" });
  const dots = metric.series.map((_, i) => svg("circle", { r: 3.5, fill: `var(--s${i % COLOURS})`, visibility: "hidden" }));
  root.append(cross, ...dots);
  const steps = [...new Set(metric.series.flat().map((p) => p[0]))].sort((a, c) => a - c);
  let place = steps.length - 1;
  const show = (index) => {
    place = Math.max(0, Math.min(steps.length - 1, index));
    const x = steps[place];
    const values = metric.series.map((points, i) => {
      const hit = nearest(points, x);
      const here = hit && hit[0] === x;
      dots[i].setAttribute("visibility", here ? "visible" : "hidden");
      if (here) { dots[i].setAttribute("cx", at.px(x)); dots[i].setAttribute("cy", at.py(hit[1])); }
      return here ? (runs.length > 1 ? `${runs[i]} ${short(hit[1])}` : short(hit[1])) : null;
    });
    for (const end of ["x1", "x2"]) cross.setAttribute(end, at.px(x));
    cross.setAttribute("visibility", "visible");
    out.textContent = `step ${short(x)}: ${values.filter(Boolean).join(", ")}`;
  };
  const hide = () => { for (const node of [cross, ...dots]) node.setAttribute("visibility", "hidden"); rest(); };
  const rest = () => {
    const ends = metric.series.filter((p) => p.length).map((p) => short(p[p.length - 1][1]));
    out.textContent = runs.length === 1 ? `last ${ends[0]}` : "";
  };
  root.addEventListener("pointermove", (event) => {
    const frame = root.getBoundingClientRect();
    const x = at.b.x0 + (((event.clientX - frame.left) / frame.width) * at.width - at.box.left) / (at.box.right - at.box.left) * (at.b.x1 - at.b.x0);
    show(steps.indexOf(nearest(steps.map((s) => [s]), x)[0]));
  });
  root.addEventListener("pointerleave", hide);
  root.addEventListener("blur", hide);
  root.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) { event.preventDefault(); show(place + move); }
  });
  rest();
  return el("figure", { class: big ? "chart big" : "chart" }, el("figcaption", {}, el("span", {}, name), out), root);
}

function charts() {
  const { runs, metrics } = DATA.curves;
  if (!metrics.length) return;
  const wide = innerWidth > 760;
  const figures = metrics.map((metric, i) => chart(metric, runs, i === 0 && wide));
  byId("charts").append(...figures.slice(0, SHOWN));
  if (figures.length > SHOWN) {
    const rest = el("div", { class: "charts" }, figures.slice(SHOWN));
    byId("charts").after(el("details", { class: "more" }, el("summary", {}, `${figures.length - SHOWN} more metrics`), rest));
  }
  if (runs.length > 1) {
    byId("legend").append(...runs.map((run, i) => {
      const key = el("i", { style: `background:var(--s${i % COLOURS})` });
      return el("span", {}, key, run);
    }));
  }
}
charts();
