// Tables sort by their heads and filter by a text.

const valueOf = (row, column) => {
  const interval = row.cells[column].querySelector("small"), all = row.cells[column].textContent;
  const text = (interval ? all.slice(0, all.lastIndexOf(interval.textContent)) : all).replace("\u2212", "-").replaceAll(",", "").trim();
  const number = parseFloat(text);
  return Number.isNaN(number) ? text.toLowerCase() : number;
};

function sortBy(table, head, column) {
  const rows = [...table.tBodies[0].rows];
  const numbers = rows.some(row => typeof valueOf(row, column) === "number");
  const rising = head.ariaSort ? head.ariaSort !== "ascending" : !numbers; // numbers: the highest first
  const known = value => (typeof value === "number") === numbers && value !== "\u2013";
  const keyed = rows.map(row => [valueOf(row, column), row]);
  keyed.sort(([a], [b]) => {
    if (known(a) !== known(b)) return known(a) ? -1 : 1; // what is not known stands last
    const order = a < b ? -1 : a > b ? 1 : 0;
    return rising ? order : -order;
  });
  for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
  head.ariaSort = rising ? "ascending" : "descending";
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

const wordsOf = field => field.value.toLowerCase().split(/\s+/).filter(Boolean);

/** [head, column] of each head that stands over one column; heads of one row or of several. */
function headsOf(table) {
  const taken = [...table.tHead.rows].map(() => []), found = [];
  [...table.tHead.rows].forEach((row, line) => {
    let column = 0;
    for (const head of row.cells) {
      while (taken[line][column]) column++;
      for (const below of taken.slice(line, line + head.rowSpan))
        for (let right = column; right < column + head.colSpan; right++) below[right] = true;
      if (head.colSpan === 1) found.push([head, column]);
      column += head.colSpan;
    }
  });
  return found;
}

function filterOf(table) {
  const left = make("output", {className: "quiet"});
  const field = make("input", {type: "search", placeholder: "filter", ariaLabel: "Filter the rows of this table"});
  field.addEventListener("input", () => {
    const wanted = wordsOf(field);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every(word => text.includes(word));
      shown += !row.hidden;
    }
    left.value = wanted.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
  });
  return make("p", {className: "filter"}, field, " ", left);
}

for (const table of document.querySelectorAll("main table:not(.still)")) {
  const rows = table.tBodies[0]?.rows.length ?? 0;
  if (!table.tHead || rows < 2) continue;
  for (const [head, column] of headsOf(table)) {
    if (!head.textContent.trim()) continue;
    head.classList.add("sorts");
    asButton(head, () => sortBy(table, head, column));
  }
  if (rows < 8) continue;
  const place = make("div"), whole = table.closest(".scroll") ?? table; // in a grid the two are one cell
  whole.before(place);
  place.append(filterOf(table), whole);
}

// What is wider than the screen scrolls, by keys too, and says so.
const wide = new ResizeObserver(entries => {
  for (const {target} of entries) {
    const scrolls = target.scrollWidth > target.clientWidth + 1;
    target.classList.toggle("scrolls", scrolls);
    if (scrolls) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
function scrolling(one, name) {
  one.role = "region";
  one.ariaLabel = name;
  wide.observe(one);
  return one;
}

for (const one of document.querySelectorAll(".scroll")) {
  const section = one.closest("section").querySelector("h2").textContent;
  scrolling(one, one.querySelector("caption")?.textContent ?? `Table of ${section}`);
}
