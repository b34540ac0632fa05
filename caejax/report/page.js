"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const text = (row, column) => row.cells[column].textContent.trim();

// A number, perhaps with a range behind it: "2.50 [2.00, 3.00]", "8,425".
const NUMBER = /^[-+]?[\d,]*\.?\d+(e[-+]?\d+)?( \[.*\])?$/i;
const toNumber = (cell) => parseFloat(cell.replaceAll(",", ""));

function compare(a, b, numeric) {
  if (!a || !b) return !a - !b; // what is empty comes last
  return numeric ? toNumber(a) - toNumber(b) : a.localeCompare(b);
}

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
  const sign = direction === "descending" ? -1 : 1;
  const filled = (row) => Number(text(row, column) !== "");
  const rows = [...body.rows].sort(
    (a, b) =>
      filled(b) - filled(a) ||
      sign * compare(text(a, column), text(b, column), numeric),
  );
  body.append(...rows);
  [...table.tHead.rows[0].cells].forEach((head, i) =>
    head.setAttribute("aria-sort", i === column ? direction : "none"),
  );
}

function makeSortable(table) {
  const rows = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const cells = rows.map((row) => text(row, column)).filter(Boolean);
    const numeric = cells.length > 0 && cells.every((cell) => NUMBER.test(cell));
    for (const row of [head, ...rows.map((row) => row.cells[column])]) {
      row.classList.toggle("number", numeric);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    // The first click puts the best on top.
    const first = head.dataset.better === "higher" ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    button.addEventListener("click", () => {
      const again = head.getAttribute("aria-sort") === first;
      sortBy(table, column, again ? second : first);
    });
  });
}

const columnsOf = (table) =>
  [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());

const NUMBER_ALONE =
  /^[-+]?(([1-9]\d{0,2}(,\d{3})+|\d+)\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const COMPARISON = /^(.+?)(<=|>=|=|<|>)(.*)$/;
const HOLDS = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  "=": (a, b) => a === b,
  ">=": (a, b) => a >= b,
  ">": (a, b) => a > b,
};

// The number that a cell shows, its mean where it has a range.
const valueOf = (row, column) => {
  const shown = text(row, column);
  return NUMBER.test(shown) ? toNumber(shown) : NaN;
};

// Which columns a comparison is about: those that begin so, or else that have it in them.
function named(columns, name) {
  const bare = (text) => text.toLowerCase().replace(/\s/g, "");
  const plain = columns.map(bare);
  const found = (test) => plain.flatMap((column, i) => (test(column) ? [i] : []));
  const begin = found((column) => column.startsWith(bare(name)));
  return begin.length ? begin : found((column) => column.includes(bare(name)));
}

// The names of the views whose table has a column.
const viewsWith = (has) =>
  all(".views button")
    .filter((x) => has(columnsOf(document.querySelector(`#${x.dataset.view} table`))))
    .map((button) => button.textContent);

// Why a word of the filter cannot be held against a table; "" where it can.
function problemOf(table, word) {
  const comparison = COMPARISON.exec(word);
  if (!comparison) return "";
  const [, name, sign, value] = comparison;
  if (!value) return `${word} lacks a number`;
  if (sign !== "=" && !NUMBER_ALONE.test(value)) return `${value} is no number`;
  const has = (columns) => named(columns, name).length > 0;
  if (has(columnsOf(table))) return "";
  const others = viewsWith(has);
  const where = others.length ? `see ${others.join(", ")}` : "nor has any other";
  return `this table has no column ${name}; ${where}`;
}

// A test of rows for one word of the filter; a value that is none yet leaves them all.
function testOf(table, word) {
  const columns = columnsOf(table);
  const comparison = COMPARISON.exec(word);
  if (comparison) {
    const [, name, sign, value] = comparison;
    const among = named(columns, name);
    if (NUMBER_ALONE.test(value)) {
      return (row) => among.some((i) => HOLDS[sign](valueOf(row, i), toNumber(value)));
    }
    if (!value || sign !== "=") return () => true;
    return (row) => among.some((i) => text(row, i).toLowerCase().includes(value));
  }
  if (NUMBER_ALONE.test(word)) {
    const heads = [...table.tHead.rows[0].cells];
    const equal = (row, i) => valueOf(row, i) === toNumber(word);
    const has = (i) => [...table.tBodies[0].rows].some((row) => equal(row, i));
    const of = (kind) =>
      heads.flatMap((head, i) => (head.dataset.kind === kind && has(i) ? [i] : []));
    const set = of("setting");
    const among = set.length ? set : of("value");
    return (row) => among.some((i) => equal(row, i));
  }
  return (row) => row.textContent.toLowerCase().includes(word);
}

// A row without a value in the field, a reference for instance, is always kept.
const isWanted = (row, columns, wanted) =>
  wanted.every(([field, value]) => {
    const column = columns.indexOf(field);
    return column < 0 || ["", value].includes(text(row, column));
  });

function wordsTyped() {
  const typed = document.getElementById("filter").value.toLowerCase();
  const plain = typed.replaceAll("\u2212", "-"); // the minus of sentences
  const words = plain.replace(/\s*(<=|>=|=|<|>)\s*/g, "$1").split(/\s+/);
  const columns = all("table[data-filtered]").flatMap(columnsOf);
  return words.filter(Boolean).reduce((found, word) => joined(found, word, columns), []);
}

// The name of a column may be of several words, which belong to the comparison.
function joined(before, word, columns) {
  const name = COMPARISON.exec(word)?.[1];
  const last = before.at(-1);
  const whole = `${last} ${name}`;
  if (!name || !last || COMPARISON.test(last) || !named(columns, whole).length) {
    return [...before, word];
  }
  return joined(before.slice(0, -1), `${last} ${word}`, columns);
}

function filter() {
  const words = wordsTyped();
  const wanted = all("select[data-field]")
    .filter((select) => select.value)
    .map((select) => [select.dataset.field, select.value]);
  for (const table of all("table[data-filtered]")) {
    const columns = columnsOf(table);
    const tests = words.map((word) => testOf(table, word));
    for (const row of table.tBodies[0].rows) {
      row.hidden = !(tests.every((test) => test(row)) && isWanted(row, columns, wanted));
    }
  }
  for (const panel of all(".panel")) {
    const link = document.querySelector(`[data-runs] a[href="#${panel.id}"]`);
    panel.hidden = link !== null && link.closest("tr").hidden;
  }
  count();
}

function count() {
  const rows = all(".view:not([hidden]) tbody tr");
  const shown = rows.filter((row) => !row.hidden).length;
  const table = document.querySelector(".view:not([hidden]) table");
  const problems = wordsTyped().map((word) => problemOf(table, word));
  const said = [`${shown} of ${rows.length} rows`, ...new Set(problems.filter(Boolean))];
  document.getElementById("count").textContent = said.join("; ");
}

function show(button) {
  for (const other of all(".views button")) {
    other.setAttribute("aria-pressed", String(other === button));
    document.getElementById(other.dataset.view).hidden = other !== button;
  }
  const columns = columnsOf(document.querySelector(`#${button.dataset.view} table`));
  for (const select of all("select[data-field]")) {
    const field = select.dataset.field;
    select.disabled = !columns.includes(field);
    const where = viewsWith((columns) => columns.includes(field)).join(", ");
    select.options[0].textContent = select.disabled ? `see ${where}` : "all";
  }
  count();
}

// A link to a run opens its panel, also one that the filter left out or that was closed.
function openTarget(hash = location.hash) {
  const panel = document.getElementById(hash.slice(1));
  if (panel instanceof HTMLDetailsElement) {
    panel.hidden = false;
    panel.open = true;
    panel.scrollIntoView();
  }
}

// The text of an element is copied at a click.
function addCopy(element) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(element.textContent);
    button.textContent = "Copied";
  });
  element.after(button);
}

document.body.classList.add("live");
all("table.sortable").forEach(makeSortable);
if (navigator.clipboard) all("pre.command").forEach(addCopy);
const tools = document.querySelector(".tools");
if (tools) {
  tools.hidden = false;
  document.getElementById("filter").addEventListener("input", filter);
  all("select[data-field]").forEach((s) => s.addEventListener("change", filter));
  const buttons = all(".views button");
  buttons.forEach((button) => button.addEventListener("click", () => show(button)));
  show(buttons[0]);
}
for (const link of all('a[href^="#run-"]')) {
  link.addEventListener("click", () => openTarget(link.hash));
}
addEventListener("hashchange", () => openTarget());
openTarget();
