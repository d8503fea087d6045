/* Python with its tokens coloured: one pass of a regular expression, all text through text nodes. */
const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global if import in is " +
   "lambda match nonlocal not or pass raise return try while with yield").split(" "));
const TOKEN = new RegExp([
  "(#[^\\n]*)",
  "((?:[rRbBfFuU]{0,2})(?:\"\"\"[\\s\\S]*?(?:\"\"\"|$)|'''[\\s\\S]*?(?:'''|$)|\"(?:\\\\.|[^\"\\\\\\n])*\"?|'(?:\\\\.|[^'\\\\\\n])*'?))",
  "\\b(0[xXoObB][\\da-fA-F_]+|\\d[\\d_]*\\.?[\\d_]*(?:[eE][+-]?\\d+)?j?)\\b",
  "([A-Za-z_]\\w*)(\\s*\\()?",
].join("|"), "g");
const COLOURED_CHARS = 60000;

function coloured(code) {
  const parts = [];
  let done = 0;
  const add = (text, kind) => { if (text) parts.push(kind ? el("span", { class: kind }, text) : text); };
  for (const match of code.slice(0, COLOURED_CHARS).matchAll(TOKEN)) {
    add(code.slice(done, match.index));
    const [whole, comment, string, digits, word, call] = match;
    if (word !== undefined) {
      add(word, KEYWORDS.has(word) ? "kw" : call !== undefined ? "fn" : null);
      add(call);
    } else add(whole, comment !== undefined ? "com" : string !== undefined ? "str" : digits !== undefined ? "num-lit" : null);
    done = match.index + whole.length;
  }
  add(code.slice(done));
  return parts;
}

function codeBlock(code) {
  const text = code.replace(/\n+$/, "");
  const numbers = Array.from({ length: text.split("\n").length }, (_, i) => i + 1).join("\n");
  return el("pre", { class: "code", tabindex: "0", "aria-label": "Program" },
    el("span", { class: "lines", "aria-hidden": "true" }, numbers), el("code", {}, ...coloured(text)));
}
