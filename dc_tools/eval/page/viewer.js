/* The list of problems (only the rows in sight exist) and the problem that is open, kept in the address. */
const ITEM_PX = 56;
const CHIPS = 200;
const state = { shown: [], open: 0, rollout: 0, chips: CHIPS };

const verdictOf = (r) => (r.verdict ? r.verdict.status : r.finish === "error" ? "error" : r.code === null ? "no code" : "unjudged");
const passes = (r) => verdictOf(r) === "AC";
const lackedCode = (r) => r.code === null && (!r.verdict || r.verdict.status === "CE");
const paint = (status) => (/^[A-Z]+$/.test(status) ? `v-${status}` : "v-none");
for (const p of DATA.problems) p.haystack = `${p.id}\n${p.statement}\n${p.tags.join(" ")}`.toLowerCase();

function options(id, all, values) {
  byId(id).append(el("option", { value: "" }, all), ...values.map(([value, text]) => el("option", { value }, text)));
  byId(id).addEventListener("change", refresh);
}

function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  return [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([value, n]) => [value, `${value} (${n})`]);
}

function filters() {
  const rollouts = DATA.problems.flatMap((p) => p.rollouts);
  const verdicts = [["all", "every rollout passes"], ["some", "some pass, some fail"], ["none", "no rollout passes"]];
  if (rollouts.some((r) => r.trace)) verdicts.push(["traced", "with a trace"]);
  options("f-verdict", "any", [...verdicts, ...counted(rollouts.map(verdictOf)), ["nocode", "no code found"]]);
  options("f-difficulty", "any", counted(DATA.problems.map((p) => p.difficulty)));
  options("f-source", "any", counted(DATA.problems.map((p) => p.source)));
  options("f-row", "all", DATA.rows.map((row, i) => [String(i), row]));
  byId("f-search").addEventListener("input", refresh);
}

const chosenRow = () => byId("f-row").value;
const inRow = (p) => (chosenRow() === "" ? p.rollouts : p.rollouts.filter((r) => String(r.row) === chosenRow()));

function verdictFits(p, wanted) {
  const rollouts = inRow(p);
  if (chosenRow() !== "" && !rollouts.length) return false;
  const passed = rollouts.filter(passes).length;
  switch (wanted) {
    case "": return true;
    case "all": return rollouts.length > 0 && passed === rollouts.length;
    case "some": return passed > 0 && passed < rollouts.length;
    case "none": return rollouts.length > 0 && passed === 0;
    case "traced": return rollouts.some((r) => r.trace);
    case "nocode": return rollouts.some(lackedCode);
    default: return rollouts.some((r) => verdictOf(r) === wanted);
  }
}

function refresh() {
  const words = byId("f-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [difficulty, source, verdict] = ["f-difficulty", "f-source", "f-verdict"].map((id) => byId(id).value);
  const before = state.shown[state.open];
  state.shown = DATA.problems.filter((p) =>
    (!difficulty || p.difficulty === difficulty) && (!source || p.source === source) &&
    words.every((word) => p.haystack.includes(word)) && verdictFits(p, verdict));
  const rollouts = state.shown.reduce((sum, p) => sum + inRow(p).length, 0);
  const cut = DATA.text_chars < 24000 ? `; long texts are cut to ${DATA.text_chars.toLocaleString("en")} characters, the judged lines have all` : "";
  byId("count").textContent = `${state.shown.length.toLocaleString("en")} of ${DATA.problems.length.toLocaleString("en")} problems, ${rollouts.toLocaleString("en")} rollouts${cut}`;
  byId("spacer").style.height = `${state.shown.length * ITEM_PX}px`;
  const kept = state.shown.indexOf(before);
  if (kept >= 0) { state.open = kept; paintList(); detail(); } else openAt(0, 0, false);
}

function paintList() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ITEM_PX) - 4);
  const last = Math.min(state.shown.length, first + Math.ceil(list.clientHeight / ITEM_PX) + 9);
  const items = [];
  for (let i = first; i < last; i++) items.push(item(state.shown[i], i));
  byId("spacer").replaceChildren(...items);
  list.setAttribute("aria-activedescendant", state.shown.length ? `item-${state.open}` : "");
  if (!state.shown.length) byId("spacer").append(el("p", { class: "empty" }, "No problem fits. Widen the search or the filters."));
}

function item(p, index) {
  const rollouts = inRow(p);
  const counts = new Map();
  for (const r of rollouts) counts.set(verdictOf(r), (counts.get(verdictOf(r)) || 0) + 1);
  const bar = [...counts].sort((a, b) => (b[0] === "AC") - (a[0] === "AC")).map(([v, n]) => el("span", { class: paint(v), style: `flex:${n}` }));
  const says = rollouts.length ? `${rollouts.filter(passes).length} of ${rollouts.length} pass` : "no rollouts";
  return el("div", {
    class: "item", id: `item-${index}`, role: "option", "aria-selected": String(index === state.open), style: `top:${index * ITEM_PX}px`,
    "aria-posinset": index + 1, "aria-setsize": state.shown.length, onclick: () => openAt(index, 0, true),
  }, el("b", {}, p.id), el("div", {}, el("span", {}, says), el("span", { class: "mini", "aria-hidden": "true" }, bar)));
}

function openAt(index, rollout, remember) {
  state.open = Math.max(0, Math.min(state.shown.length - 1, index));
  state.rollout = rollout;
  state.chips = Math.max(CHIPS, rollout + 1);
  const list = byId("list");
  const top = state.open * ITEM_PX;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ITEM_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ITEM_PX - list.clientHeight;
  paintList();
  detail();
  byId("detail").scrollTop = 0;
  if (remember) rememberPlace();
}

function rememberPlace() {
  const p = state.shown[state.open];
  if (p) history.replaceState(null, "", `#problem=${encodeURIComponent(p.id)}&rollout=${state.rollout}`);
}

function detail() {
  const p = state.shown[state.open];
  const hadFocus = byId("detail").contains(document.activeElement) && document.activeElement !== byId("detail");
  if (!p) { byId("detail").replaceChildren(el("p", { class: "empty" }, "Nothing is selected.")); return; }
  state.rollout = Math.max(0, Math.min(p.rollouts.length - 1, state.rollout));
  if (chosenRow() !== "" && p.rollouts[state.rollout] && String(p.rollouts[state.rollout].row) !== chosenRow()) state.rollout = p.rollouts.findIndex((r) => String(r.row) === chosenRow());
  const kind = { function: `function ${p.entry || ""}`, answer: "a number is asked for" }[p.mode] || "reads stdin";
  const facts = [kind, p.difficulty, p.source, p.date, ...p.tags, p.mode === "answer" ? null : `${p.tests_total} test${p.tests_total === 1 ? "" : "s"}`];
  const link = el("button", { type: "button", class: "ghost", onclick: copyLink }, "Copy link");
  byId("detail").replaceChildren(
    el("div", { class: "headline" }, el("h2", {}, p.id), link),
    el("div", { class: "meta" }, facts.filter((f) => f && f !== "unknown").map((f) => el("span", {}, f))),
    el("div", { class: "statement", tabindex: p.statement.length > 900 ? "0" : null }, p.statement || "No statement on the line."),
    el("h3", {}, "Rollouts"), ...chips(p), ...(p.rollouts.length ? rolloutParts(p, p.rollouts[state.rollout]) : []));
  if (hadFocus) byId("detail").focus({ preventScroll: true });
  const verdict = p.rollouts.length ? `, rollout ${state.rollout + 1}: ${verdictOf(p.rollouts[state.rollout])}` : "";
  byId("opened").textContent = `${p.id}${verdict}`;
}

function copyLink(event) {
  rememberPlace();
  const button = event.currentTarget;
  const say = (text) => { button.textContent = text; setTimeout(() => { button.textContent = "Copy link"; }, 1500); };
  if (!navigator.clipboard) { say("In the address bar"); return; }
  navigator.clipboard.writeText(location.href).then(() => say("Copied"), () => say("In the address bar"));
}

function chips(p) {
  if (!p.rollouts.length) return [el("p", { class: "muted" }, "This problem has no rollouts.")];
  let left = state.chips;
  return DATA.rows.map((name, row) => {
    const mine = p.rollouts.map((r, i) => [r, i]).filter(([r]) => r.row === row);
    if (!mine.length || (chosenRow() !== "" && chosenRow() !== String(row))) return null;
    const some = mine.slice(0, Math.max(0, left));
    left -= some.length;
    const more = some.length < mine.length && el("button", { type: "button", class: "chip", onclick: () => { state.chips += 1000; detail(); } }, `${mine.length - some.length} more`);
    return el("div", { class: "chips" }, DATA.rows.length > 1 ? el("span", { class: "label" }, name) : null, some.map(([r, i]) => chip(r, i)), more || null);
  }).filter(Boolean);
}

function chip(r, index) {
  return el("button", {
    type: "button", class: "chip", "aria-pressed": String(index === state.rollout), "aria-label": `Rollout ${index + 1}: ${verdictOf(r)}`,
    onclick: () => { pick(index); byId("detail").querySelector('.chip[aria-pressed="true"]').focus(); },
  }, el("i", { class: `dot ${paint(verdictOf(r))}` }), verdictOf(r));
}

function pick(index) {
  state.rollout = index;
  state.chips = Math.max(state.chips, index + 1);
  detail();
  rememberPlace();
}

const ms = (s) => (s < 0.0995 ? `${(1000 * s).toFixed(1)} ms` : s < 0.9995 ? `${(1000 * s).toFixed(0)} ms` : `${s.toFixed(2)} s`);
const mb = (m) => `${m.toFixed(1)} MiB`;

function rolloutParts(p, r) {
  const v = r.verdict;
  const facts = [
    v && `${v.passed} of ${v.total} tests passed`, v && v.time_s ? ms(v.time_s) : null, v && v.memory_mb ? mb(v.memory_mb) : null, r.finish === "length" ? "cut at the token limit" : null,
    r.tokens === null ? null : `${r.tokens.toLocaleString("en")} tokens`, r.reward === null ? null : `reward ${+r.reward.toPrecision(4)}`, r.model, r.seed === null ? null : `seed ${r.seed}`,
  ];
  if (v && v.others.length) facts.push(`others say ${v.others.join(", ")}`);
  const told = v && v.tests.some((t) => t[3] === v.message);
  const reason = r.error || (v && !told && v.message) || (lackedCode(r) && !r.verdict ? p.mode === "answer" ? "No final answer was found in this text." : "No program was found in this answer." : "");
  return [
    el("div", { class: "verdict" }, el("b", {}, el("i", { class: `dot ${paint(verdictOf(r))}` }), verdictOf(r)), facts.filter(Boolean).map((f) => el("span", {}, f))),
    reason ? el("p", { class: "message" }, reason) : null,
    ...(r.code === null || r.trace ? [] : [el("h3", {}, p.mode === "answer" ? "Answer" : "Program"), codeBlock(r.code)]),
    ...tests(p, r),
    ...traceParts(p, r),
    r.text ? el("details", { class: "more", open: r.code === null }, el("summary", {}, "The whole answer"), el("pre", { tabindex: "0" }, r.text)) : null,
  ].filter(Boolean);
}

function tests(p, r) {
  const v = r.verdict;
  if (!v || !v.tests.length) return [];
  const failing = v.tests.findIndex((t) => t[0] !== "AC");
  const rows = v.tests.map(([status, time, memory, message], i) => {
    const place = v.first + i;
    const io = p.tests[place];
    const whole = status === "WA" && r.trace && r.trace.test === place ? actualDiff(p, r.trace) : [];
    const told = status === "WA" ? fromMessage(message) : null;
    const part = (name, text) => el("div", {}, name, el("pre", { tabindex: "0" }, text));
    return el("details", { open: i === failing },
      el("summary", {}, el("span", {}, `Test ${place + 1}`), el("span", {}, el("i", { class: `dot ${paint(status)}` }), status), el("span", {}, ms(time)), el("span", {}, memory ? mb(memory) : ""), el("span", { title: message }, message)),
      el("div", { class: "io" }, io ? [part("Input", io[0]), part("Expected", io[1])] : null,
        whole.length ? el("div", { class: "wide" }, "Difference", whole) : told ? el("div", { class: "wide" }, `Difference${told.where ? `, ${told.where}` : ""}`, diffBlock(told.expected, told.actual)) : message.length > 60 ? el("div", { class: "wide" }, "Message", el("pre", {}, message)) : null));
  });
  const hidden = v.total - v.first - v.tests.length;
  const before = v.first ? `; the ${v.first} before them were passed` : "";
  const rest = hidden > 0 ? ` (${hidden} more not run or not shown${before})` : before ? ` (${before.slice(2)})` : "";
  return [el("h3", {}, `Tests${rest}`), el("div", { class: "tests" }, rows)];
}

function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (!asked.has("problem")) return;
  let index = state.shown.findIndex((p) => p.id === asked.get("problem"));
  if (index < 0) {
    for (const id of ["f-search", "f-verdict", "f-difficulty", "f-source", "f-row"]) byId(id).value = "";
    refresh();
    index = state.shown.findIndex((p) => p.id === asked.get("problem"));
  }
  if (index < 0) { byId("count").textContent = `This report has no problem ${asked.get("problem")}.`; return; }
  openAt(index, Math.trunc(Number(asked.get("rollout")) || 0), false);
  byId("problems").scrollIntoView();
  byId("detail").focus({ preventScroll: true });
}

/* The next rollout of the row that is looked at, or -1. */
function neighbour(p, by) {
  for (let i = state.rollout + by; i >= 0 && i < p.rollouts.length; i += by) if (chosenRow() === "" || String(p.rollouts[i].row) === chosenRow()) return i;
  return -1;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range";
  if (typing) { if (event.key === "Escape") event.target.blur(); return; }
  const inList = event.target === byId("list");
  const moves = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 } : {}) };
  const p = state.shown[state.open];
  if (event.key === "/") { event.preventDefault(); byId("f-search").focus(); }
  else if (event.key in moves) { event.preventDefault(); openAt(state.open + moves[event.key], 0, true); }
  else if (inList && event.key === "Enter") byId("detail").focus();
  else if (event.key === "t" && byId("step")) { event.preventDefault(); byId("step").focus(); }
  else if (p && (event.key === "h" || event.key === "l")) {
    const next = neighbour(p, event.key === "l" ? 1 : -1);
    if (next >= 0) pick(next);
  }
}

filters();
refresh();
byId("list").addEventListener("scroll", () => requestAnimationFrame(paintList), { passive: true });
addEventListener("resize", paintList);
addEventListener("hashchange", fromAddress);
document.addEventListener("keydown", onKey);
fromAddress();
