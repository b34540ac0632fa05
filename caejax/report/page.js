"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const text = (row, column) => row.cells[column].textContent.trim();

// A number, perhaps with a range behind it: "2.50 [2.00, 3.00]", "8,425".
const NUMBER = /^-?[\d,]*\.?\d+(e[-+]?\d+)?( \[.*\])?$/i;
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
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      sortBy(table, column, up ? "ascending" : "descending");
    });
  });
}

const columnsOf = (table) =>
  [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());

// A row without a value in the field, a reference for instance, is always kept.
function matches(row, columns, words, wanted) {
  const content = row.textContent.toLowerCase();
  return (
    words.every((word) => content.includes(word)) &&
    wanted.every(([field, value]) => {
      const column = columns.indexOf(field);
      return column < 0 || ["", value].includes(text(row, column));
    })
  );
}

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/);
  const wanted = all("select[data-field]")
    .filter((select) => select.value)
    .map((select) => [select.dataset.field, select.value]);
  for (const table of all("table[data-filtered]")) {
    for (const row of table.tBodies[0].rows) {
      row.hidden = !matches(row, columnsOf(table), words, wanted);
    }
  }
  for (const panel of all(".panel")) {
    const link = document.querySelector(`[data-filtered] a[href="#${panel.id}"]`);
    panel.hidden = link !== null && link.closest("tr").hidden;
  }
  count();
}

function count() {
  const rows = all(".view:not([hidden]) tbody tr");
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("count").textContent = `${shown} of ${rows.length} rows`;
}

function show(button) {
  for (const other of all(".views button")) {
    other.setAttribute("aria-pressed", String(other === button));
    document.getElementById(other.dataset.view).hidden = other !== button;
  }
  const columns = columnsOf(document.querySelector(`#${button.dataset.view} table`));
  for (const select of all("select[data-field]")) {
    select.disabled = !columns.includes(select.dataset.field);
  }
  count();
}

// A link to a run opens its panel.
function openTarget() {
  const panel = document.getElementById(location.hash.slice(1));
  if (panel instanceof HTMLDetailsElement) {
    panel.open = true;
    panel.scrollIntoView();
  }
}

all("table.sortable").forEach(makeSortable);
document.querySelector(".tools").hidden = false;
document.getElementById("filter").addEventListener("input", filter);
all("select[data-field]").forEach((select) => select.addEventListener("change", filter));
const buttons = all(".views button");
buttons.forEach((button) => button.addEventListener("click", () => show(button)));
if (buttons.length) show(buttons[0]);
else count();
addEventListener("hashchange", openTarget);
openTarget();
