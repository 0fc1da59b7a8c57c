"use strict";
// Tables sort by their heads and filter by a text; a class opens. Without this script the page says the same, at rest.

const make = (name, values = {}, ...children) => {
  const one = Object.assign(document.createElement(name), values);
  one.append(...children);
  return one;
};

const valueOf = (row, column) => {
  const text = row.cells[column].textContent.replace("\u2212", "-").replaceAll(",", "").trim();
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
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.ariaSort = rising ? "ascending" : "descending";
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function onPress(element, act) {
  element.tabIndex = 0;
  element.addEventListener("click", act);
  element.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
}

function filterOf(table) {
  const left = make("output", {className: "quiet"});
  const field = make("input", {type: "search", placeholder: "filter", ariaLabel: "Filter the rows of this table"});
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
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

for (const table of document.querySelectorAll("main table")) {
  const rows = table.tBodies[0]?.rows.length ?? 0;
  if (table.tHead?.rows.length !== 1 || rows < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!head.textContent.trim()) return;
    head.classList.add("sorts");
    onPress(head, () => sortBy(table, head, column));
  });
  if (rows >= 8) table.parentElement.before(filterOf(table));
}

const SVG = "http://www.w3.org/2000/svg";

function draw(name, values, ...children) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(values)) one.setAttribute(key, value);
  one.append(...children);
  return one;
}

/** Precision, recall and F1 of a class at a threshold's number; null where nothing is found. */
function figuresAt(one, step) {
  const hits = one.hits[step], found = one.found[step];
  const precision = found ? hits / found : null, recall = hits / one.positives;
  return {hits, found, precision, recall, f1: 2 * hits / (found + one.positives)};
}

function curveOf(one, steps) {
  const points = [];
  for (let step = 0; step <= steps; step++) {
    const {precision, recall} = figuresAt(one, step);
    if (precision !== null) points.push([46 + recall * 384, 236 - precision * 224]);
  }
  const text = (x, y, words, anchor) => draw("text", {class: "tick", x, y, "text-anchor": anchor}, words);
  const dot = draw("circle", {class: "dot s0", r: 6});
  const chart = draw("svg", {class: "chart", viewBox: "0 0 440 280", role: "img", "aria-label": "Precision by recall"},
    draw("path", {class: "grid", d: "M46 12L46 236L430 236M46 124L430 124M238 12L238 236"}),
    draw("path", {class: "line s0", d: "M" + points.map(point => point.map(v => v.toFixed(1)).join(" ")).join("L")}),
    text(40, 16, "100", "end"), text(40, 128, "50", "end"), text(40, 240, "0", "end"),
    text(46, 254, "0", "middle"), text(238, 254, "50", "middle"), text(430, 254, "100", "middle"),
    text(238, 274, "recall, percent", "middle"), text(52, 24, "precision, percent", "start"), dot);
  return [chart, dot];
}

function videosOf(title, rows) {
  if (!rows.length) return "";
  const body = make("tbody");
  for (const [video, score, labels] of rows)
    body.append(make("tr", {}, make("th", {scope: "row"}, make("span", {className: "name"}, video)),
      make("td", {}, score.toFixed(4)), make("td", {className: "text"}, labels)));
  const head = make("tr", {}, make("th", {scope: "col"}, title), make("th", {scope: "col"}, "score"),
    make("th", {scope: "col", className: "text"}, "labels"));
  return make("div", {className: "scroll"}, make("table", {}, make("thead", {}, head), body));
}

function open(dialog, name, one, steps) {
  const percent = value => value === null ? "\u2013" : `${(100 * value).toFixed(1)} %`;
  const told = make("output", {className: "told"});
  const slider = make("input", {type: "range", min: 0, max: steps, value: steps / 2, ariaLabel: "Threshold"});
  const [chart, dot] = curveOf(one, steps);
  const move = () => {
    const step = Number(slider.value), at = figuresAt(one, step);
    told.value = `threshold ${(step / steps).toFixed(2)}: precision ${percent(at.precision)}, recall ` +
      `${percent(at.recall)}, F1 ${percent(at.f1)}; ${at.hits} of ${one.positives} found, ${at.found - at.hits} false alarms`;
    dot.setAttribute("cx", 46 + at.recall * 384);
    dot.setAttribute("cy", 236 - (at.precision ?? 1) * 224);
  };
  slider.addEventListener("input", move);
  const close = make("button", {type: "button"}, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(make("h2", {}, name), close, make("figure", {}, chart), slider, make("p", {}, told),
    videosOf("Missed, the lowest score first", one.missed), videosOf("False alarms, the highest score first", one.alarms));
  move();
  dialog.showModal();
}

const data = document.getElementById("class-data");
if (data) {
  const {steps, classes} = JSON.parse(data.textContent);
  const dialog = document.getElementById("class");
  for (const head of document.querySelectorAll("table.of-classes tbody th")) {
    const name = head.dataset.name;
    if (!Object.hasOwn(classes, name)) continue;
    head.classList.add("opens");
    head.setAttribute("role", "button");
    onPress(head, () => open(dialog, name, classes[name], steps));
  }
}
