/* Two texts line by line: what is only expected, what is only there, what both have. */
const DIFF_LINES = 200;

function lineDiff(expected, actual) {
  const [a, b] = [expected, actual].map((text) => text.replace(/\n$/, "").split("\n").slice(0, DIFF_LINES));
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--)
    longest[i][j] = same(a[i], b[j]) ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(a[i], b[j])) { found.push(["=", b[j]]); i++; j++; }
    else if (i < a.length && (j >= b.length || longest[i + 1][j] >= longest[i][j + 1])) found.push(["-", a[i++]]);
    else found.push(["+", b[j++]]);
  }
  return found;
}

/* Space at the end of a line is not what fails a test. */
const same = (a, b) => a.trimEnd() === b.trimEnd();

function diffBlock(expected, actual) {
  const names = { "-": "expected", "+": "got", "=": "" };
  const lines = lineDiff(expected, actual).map(([kind, text]) =>
    el("div", { class: kind === "-" ? "gone" : kind === "+" ? "come" : null },
      el("span", { class: "sign" }, names[kind]), el("span", {}, text || " ")));
  return el("div", { class: "diff", tabindex: "0", role: "group", "aria-label": "Expected and actual output" }, lines);
}

/* What was expected and what came, of a judge's message; null where it says neither. */
function fromMessage(message) {
  const found = /^(?:(.*?): )?expected ([\s\S]*), got ([\s\S]*)$/.exec(message);
  return found && { where: found[1] || "", expected: found[2], actual: found[3] };
}
