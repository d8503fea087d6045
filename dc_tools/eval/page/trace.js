/* The trace of a failing test: the program with the line that is about to run, the variables there, and how it ended. */
function traceParts(p, r) {
  const t = r.trace;
  if (!t) return [];
  const steps = t.steps || [];
  const head = el("h3", { id: "trace" }, `Trace of test ${t.test + 1}`);
  const ends = el("p", { class: "message" }, `${t.end || "nothing is known of its end"}${steps.length ? ` · ${t.total.toLocaleString("en")} steps` : ""}`);
  return [head, ends, ...(steps.length ? [stepper(r, t, steps)] : []), ...outline(t.parts || [])];
}

/* Expected against what the traced run gave, where it came to its end. */
function actualDiff(p, t) {
  const io = p.tests[t.test];
  const returned = /^returned ([\s\S]*)$/.exec(t.end || "");
  if (!io || !(returned || (p.mode !== "function" && /^ended/.test(t.end || "")))) return [];
  return [diffBlock(returned ? asPython(io[1]) : io[1], returned ? returned[1] : t.output || "")];
}

/* A JSON value as Python writes it, as far as it is one. */
function asPython(text) {
  const write = (value) => {
    if (value === null) return "None";
    if (value === true || value === false) return value ? "True" : "False";
    if (typeof value === "string") return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value.replace(/\\/g, "\\\\").replace(/'/g, "\\'").replace(/\n/g, "\\n")}'`;
    if (Array.isArray(value)) return `[${value.map(write).join(", ")}]`;
    if (typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${write(k)}: ${write(v)}`).join(", ")}}`;
    return String(value);
  };
  if (/\d{16}|\d\.\d|\de/i.test(text)) return text; /* numbers that would not stay as they are */
  try { return write(JSON.parse(text)); } catch { return text; }
}

/* The frames at step `at`, innermost last: function, and name -> [value, whether it changed here, whether it may be old]. */
function framesAt(t, steps, at) {
  const frames = [];
  const gap = t.skipped ? t.skipped_after || 0 : -1;
  let ended = false;
  for (let i = 0; i <= at; i++) {
    const step = steps[i];
    if (i === gap) for (const frame of frames) for (const held of Object.values(frame.names)) held[2] = true;
    while (frames.length > step.depth + 1) frames.pop();
    const here = frames[step.depth];
    if (here && (here.name !== step.function || (ended && i > 0 && steps[i - 1].depth === step.depth))) frames.pop();
    while (frames.length <= step.depth) frames.push({ name: frames.length === step.depth ? step.function : "…", names: {} });
    const names = frames[step.depth].names;
    for (const frame of frames) for (const held of Object.values(frame.names)) held[1] = false;
    for (const [name, value] of Object.entries(step.changed || {})) {
      if (value === "") delete names[name];
      else names[name] = [value, true, false];
    }
    ended = step.event === "return" && step.function !== "<module>";
  }
  return frames;
}

function stepper(r, t, steps) {
  const lines = (r.code || "").replace(/\n+$/, "").split("\n");
  const code = codeBlock(r.code || "");
  code.classList.add("walk");
  const mark = el("span", { class: "here", "aria-hidden": "true" });
  code.append(mark);
  const slider = el("input", { type: "range", min: "0", max: String(steps.length - 1), value: "0", "aria-label": "Step of the trace", id: "step" });
  const says = el("output", { class: "says", for: "step" });
  const panel = el("div", { class: "frames" });
  const last = steps.length - 1;
  const go = (to) => { slider.value = String(Math.max(0, Math.min(last, to))); show(); };
  const button = (text, label, to) => el("button", { type: "button", class: "ghost", "aria-label": label, onclick: () => go(to()) }, text);
  const now = () => Number(slider.value);

  function show() {
    const at = now();
    const step = steps[at];
    const number = t.skipped && at >= (t.skipped_after || 0) ? at + t.skipped : at;
    const event = { return: `returns ${step.value || ""}`, raise: `raises ${step.value || ""}` }[step.event] || "about to run";
    says.textContent = `Step ${(number + 1).toLocaleString("en")} of ${t.total.toLocaleString("en")}, line ${step.line}: ${event}`;
    const place = Math.max(0, Math.min(lines.length, step.line) - 1);
    mark.style.setProperty("--row", String(place));
    mark.className = `here ${step.event || "line"}`;
    const size = parseFloat(getComputedStyle(code).lineHeight) || 20;
    const top = 12 + place * size;
    if (top < code.scrollTop + size || top > code.scrollTop + code.clientHeight - 2 * size) code.scrollTop = top - code.clientHeight / 2;
    panel.replaceChildren(...framesAt(t, steps, at).reverse().map(frameBlock), ...printed(t, step));
  }

  slider.addEventListener("input", show);
  const gap = t.skipped ? el("p", { class: "muted small" }, `${t.skipped.toLocaleString("en")} steps after step ${t.skipped_after} are left out; values from before them are pale.`) : null;
  const box = el("div", { class: "trace" },
    el("div", { class: "steps" },
      button("|◂", "First step", () => 0), button("◂", "Step back", () => now() - 1), slider, button("▸", "Step forward", () => now() + 1), button("▸|", "Last step", () => last)),
    says, gap, el("div", { class: "walkthrough" }, code, panel));
  slider.value = String(last);
  requestAnimationFrame(show);
  return box;
}

function frameBlock(frame) {
  const names = Object.entries(frame.names);
  return el("div", { class: "frame" }, el("b", {}, frame.name === "<module>" ? "program" : frame.name),
    names.length
      ? el("dl", {}, names.flatMap(([name, [value, changed, old]]) => [el("dt", { class: changed ? "new" : null }, name), el("dd", { class: changed ? "new" : old ? "old" : null }, value)]))
      : el("p", { class: "muted small" }, "no variables"));
}

function printed(t, step) {
  const text = (t.output || "").slice(0, step.output || 0);
  return text ? [el("div", { class: "frame" }, el("b", {}, "printed so far"), el("pre", { tabindex: "0" }, text))] : [];
}

/* The outline of the program; a line goes to its place in the trace. */
function outline(parts) {
  if (!parts.length) return [];
  const rows = parts.map((part) => el("li", { style: `padding-left:${14 * (part.depth || 0)}px` },
    el("span", { class: "kind" }, part.kind), " ", el("code", {}, part.name), " ",
    el("span", { class: "muted" }, `line ${part.line}${part.end_line > part.line ? ` to ${part.end_line}` : ""}${part.note ? `, ${part.note}` : ""}`)));
  return [el("details", { class: "more", open: true }, el("summary", {}, "Structure of the program"), el("ul", { class: "outline" }, rows))];
}
