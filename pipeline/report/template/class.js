// A class opens: its curve, a threshold, its misses and false alarms.

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
    text(238, 274, "recall, percent", "middle"),
    draw("text", {class: "tick", transform: "translate(11 124) rotate(-90)", "text-anchor": "middle"}, "precision, percent"), dot);
  return [chart, dot];
}

function videosOf(title, rows) {
  if (!rows.length) return "";
  const list = make("ol", {className: "found"});
  for (const [video, score, labels] of rows)
    list.append(make("li", {}, playerOf(video), make("p", {}, make("span", {className: "name"}, video), " ",
      make("b", {}, score.toFixed(4)), make("span", {className: "quiet"}, labels))));
  return make("section", {}, make("h3", {}, title), list);
}

/** What is said where some of the videos have no frames, as the page has room for so many. */
function leftOut(rows) {
  if (!rows.some(([video]) => stripOf(video) === undefined)) return "";
  return make("p", {className: "note"}, `Frames were left out where this page has ${page.megabytes} MB of them ` +
    "(report.strips_megabytes).");
}

function openClass(name, opener) {
  const one = page.classes[name], steps = page.steps;
  const percent = value => value === null ? "\u2013" : `${(100 * value).toFixed(1)} %`;
  const words = make("output", {className: "told"});
  const slider = make("input", {type: "range", min: 0, max: steps, value: steps / 2, ariaLabel: "Threshold"});
  const [chart, dot] = curveOf(one, steps);
  const move = () => {
    const step = Number(slider.value), at = figuresAt(one, step);
    words.value = `threshold ${(step / steps).toFixed(2)}: precision ${percent(at.precision)}, recall ` +
      `${percent(at.recall)}, F1 ${percent(at.f1)}; ${at.hits} of ${one.positives} found, ${at.found - at.hits} false alarms`;
    dot.setAttribute("cx", 46 + at.recall * 384);
    dot.setAttribute("cy", 236 - (at.precision ?? 1) * 224);
  };
  slider.addEventListener("input", move);
  const lists = make("div", {className: "pair"}, videosOf("Missed, the lowest score first", one.missed),
    videosOf("False alarms, the highest score first", one.alarms));
  show(document.getElementById("class"), opener, name, make("figure", {}, chart), slider, make("p", {}, words),
    leftOut([...one.missed, ...one.alarms]), lists);
  move();
}

for (const place of document.querySelectorAll("[data-name]")) {
  const name = place.dataset.name;
  if (!Object.hasOwn(page.classes, name)) continue;
  place.classList.add("opens");
  const opener = asButton(place, () => openClass(name, opener));
  opens(opener);
}
