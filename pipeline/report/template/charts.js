// A chart tells the value under the pointer or the finger and, once it has the focus, at the arrow keys; a name in a
// legend singles its series out.

const NEAR = 28; // pixels from a mark within which it tells its value

/** The marks of a chart, {of, x, y, told}: series -> its marks by x; `told` is the text, x and y are of the drawing. */
function marksOf(chart) {
  const [across, up] = [...chart.querySelectorAll("text.label")].map(label => label.textContent);
  const series = new Map();
  const note = mark => series.set(mark.of, [...(series.get(mark.of) ?? []), mark]);
  for (const line of chart.querySelectorAll("path[data-values]")) {
    const places = line.getAttribute("d").match(/[\d.]+ [\d.]+/g);
    line.dataset.values.split(",").forEach((pair, number) => {
      const [x, y] = places[number].split(" ").map(Number), [at, value] = pair.split(" ");
      note({of: line.dataset.of, x, y, told: `${line.dataset.of}: ${up} ${value}, ${across} ${at}`});
    });
  }
  for (const dot of chart.querySelectorAll("circle[data-of]"))
    note({of: dot.dataset.of, x: Number(dot.getAttribute("cx")), y: Number(dot.getAttribute("cy")), told: dot.textContent});
  for (const marks of series.values()) marks.sort((a, b) => a.x - b.x);
  return [...series.values()];
}

function nearest(marks, x, y) {
  let best = null, least = Infinity;
  for (const mark of marks) {
    const far = Math.hypot(mark.x - x, mark.y - y);
    if (far < least) [best, least] = [mark, far];
  }
  return [best, least];
}

function tells(chart) {
  const series = marksOf(chart), box = chart.viewBox.baseVal, figure = chart.parentElement;
  if (!series.length) return;
  const tip = make("div", {className: "tip", role: "status", hidden: true});
  const ring = draw("circle", {class: "ring", r: 7, visibility: "hidden"});
  chart.append(ring);
  figure.classList.add("told");
  figure.append(tip);
  for (const title of chart.querySelectorAll("[data-of] > title")) title.remove(); // or two tips would stand there
  let now = null;
  const shown = () => series.filter(([mark]) => !chart.querySelector(`[data-of="${CSS.escape(mark.of)}"].faded`));
  const show = mark => {
    now = mark;
    tip.hidden = !mark;
    ring.setAttribute("visibility", mark ? "visible" : "hidden");
    if (!mark) return;
    ring.setAttribute("cx", mark.x);
    ring.setAttribute("cy", mark.y);
    tip.textContent = mark.told;
    const place = chart.getBoundingClientRect(), around = figure.getBoundingClientRect(), scale = place.width / box.width;
    const middle = place.left - around.left + mark.x * scale - tip.offsetWidth / 2;
    tip.style.top = `${place.top - around.top + mark.y * scale + 12}px`;
    tip.style.left = `${Math.max(0, Math.min(middle, around.width - tip.offsetWidth))}px`;
  };
  const point = event => {
    const place = chart.getBoundingClientRect(), scale = box.width / place.width;
    const [mark, far] = nearest(shown().flat(), (event.clientX - place.left) * scale, (event.clientY - place.top) * scale);
    show(far < NEAR * scale ? mark : null);
  };
  const step = key => {
    const open = shown();
    if (!open.length) return null;
    const row = open.findIndex(marks => marks.includes(now));
    if (row < 0) return open[0][0];
    const along = {ArrowLeft: -1, ArrowRight: 1}[key], over = {ArrowUp: -1, ArrowDown: 1}[key];
    if (along) return open[row][open[row].indexOf(now) + along] ?? now;
    if (over) return nearest(open[(row + over + open.length) % open.length], now.x, now.y)[0];
    return open[row].at(key === "Home" ? 0 : -1);
  };
  chart.addEventListener("pointermove", point);
  chart.addEventListener("pointerdown", point);
  chart.addEventListener("pointerleave", event => event.pointerType === "mouse" && show(null));
  chart.addEventListener("blur", () => show(null));
  chart.addEventListener("focus", () => chart.matches(":focus-visible") && show(step("Home")));
  chart.addEventListener("keydown", event => {
    if (event.key === "Escape") return show(null);
    if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) return;
    event.preventDefault();
    show(step(event.key));
  });
  chart.tabIndex = 0;
  chart.setAttribute("role", "application");
  chart.setAttribute("aria-roledescription", "chart, whose values the arrow keys tell");
}

/** Names of a legend become buttons; those that are pressed stay in the charts of the section, and the rest fades. */
function singlesOut(legend) {
  const section = legend.closest("section"), chosen = new Set();
  for (const item of legend.children) {
    const name = item.textContent;
    const one = asButton(item, () => {
      if (!chosen.delete(name)) chosen.add(name);
      one.ariaPressed = String(chosen.has(name));
      for (const mark of section.querySelectorAll("svg.chart [data-of]"))
        mark.classList.toggle("faded", chosen.size > 0 && !chosen.has(mark.dataset.of));
    });
    one.ariaPressed = "false";
  }
}

document.querySelectorAll("main svg.chart").forEach(tells);
document.querySelectorAll("main ul.legend").forEach(singlesOut);
