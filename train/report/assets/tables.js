// Tables: a click on a heading sorts by that column; a dash (no value) stays last.
"use strict";

function sortTable(table, column, isDescending) {
  const body = table.tBodies[0];
  const isNumeric = table.tHead.rows[0].cells[column].classList.contains("number");
  const key = (row) => {
    const text = row.cells[column].textContent;
    if (!isNumeric) return text;
    const value = Number.parseFloat(text);
    return Number.isNaN(value) ? null : value;
  };
  const compare = (a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    const order = isNumeric ? a.key - b.key : a.key.localeCompare(b.key, "en");
    return isDescending ? -order : order;
  };
  const rows = [...body.rows].map((row) => ({ row, key: key(row) }));
  rows.sort(compare);
  body.append(...rows.map((entry) => entry.row));
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    if (place === column) cell.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}

// Row headings stay in view, side by side, while a wide table is scrolled.
function keepHeadings(table) {
  const first = table.tBodies[0].rows[0];
  if (!first) return;
  const widths = [...first.cells].map((cell) => cell.offsetWidth);
  for (const row of table.rows) {
    let left = 0;
    for (let i = 0; i < first.cells.length && first.cells[i].scope === "row"; i += 1) {
      row.cells[i].classList.add("head");
      row.cells[i].style.left = `${left}px`;
      left += widths[i];
    }
  }
}

const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) keepHeadings(entry.target);
});

for (const table of document.querySelectorAll("table.sortable")) {
  sizes.observe(table);
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => {
      const first = cell.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sortTable(table, column, (cell.getAttribute("aria-sort") === first ? other : first) === "descending");
    });
  });
}
