// The whole matrix of labels by answers: a picture whose cells say what they are when pointed at, or by the arrow keys.

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name);

function paint(canvas, {names, videos, found, cells}, size, head, chosen) {
  const wide = head + names.length * size, scale = devicePixelRatio;
  Object.assign(canvas, {width: wide * scale, height: wide * scale});
  canvas.style.width = `${wide}px`;
  const brush = canvas.getContext("2d");
  brush.scale(scale, scale);
  brush.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const fill = (label, answer, times, name) => {
    brush.globalAlpha = Math.max(0.2, Math.sqrt(Math.min(1, times / Math.max(1, videos[label]))));
    brush.fillStyle = colour(name);
    brush.fillRect(head + answer * size, head + label * size, size - (size > 6), size - (size > 6));
  };
  brush.fillStyle = colour("--fill");
  brush.fillRect(head, head, names.length * size, names.length * size);
  for (const [label, answer, times] of cells) fill(label, answer, times, "--accent");
  found.forEach((times, label) => times && fill(label, label, times, "--good"));
  brush.globalAlpha = 1;
  brush.fillStyle = colour("--ink");
  if (head) names.forEach((name, number) => {
    const words = name.length > 18 ? `${name.slice(0, 17)}\u2026` : name, middle = head + (number + 0.5) * size;
    brush.textAlign = "right";
    brush.fillText(words, head - 6, middle + 4);
    brush.save();
    brush.translate(middle + 4, head - 6);
    brush.rotate(-Math.PI / 2);
    brush.textAlign = "left";
    brush.fillText(words, 0, 0);
    brush.restore();
  });
  brush.strokeStyle = colour("--ink");
  brush.lineWidth = 2;
  if (chosen) brush.strokeRect(head + chosen[1] * size, head + chosen[0] * size, size, size);
}

function openMatrix(data, opener) {
  const {names, videos, found, cells} = data, count = names.length;
  const size = Math.max(3, Math.min(26, Math.floor(760 / count))), longest = Math.max(...names.map(name => name.length));
  const head = size < 11 ? 0 : 12 + 6.6 * Math.min(18, longest);
  const times = new Map(cells.map(([label, answer, number]) => [label * count + answer, number]));
  const words = make("output", {}, "Point at a cell, or move by the arrow keys.");
  const canvas = make("canvas", {tabIndex: 0, role: "application", ariaLabel: "Matrix of labels by answers"});
  let at = null;
  const choose = (label, answer) => {
    const within = number => Math.max(0, Math.min(count - 1, number));
    at = [within(label), within(answer)];
    const same = at[0] === at[1], number = same ? found[at[0]] : times.get(at[0] * count + at[1]) ?? 0;
    const share = videos[at[0]] ? ` (${(100 * number / videos[at[0]]).toFixed(1)} %)` : "";
    words.value = `${names[at[0]]}, ${same ? "found" : `answered with ${names[at[1]]}`}: ${number} of ` +
      `${videos[at[0]]}${share}`;
    paint(canvas, data, size, head, at);
  };
  const point = event => {
    const [answer, label] = [event.offsetX, event.offsetY].map(place => Math.floor((place - head) / size));
    if (Math.min(label, answer) >= 0) choose(label, answer);
  };
  for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, point);
  const steps = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  canvas.addEventListener("keydown", event => {
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    choose((at?.[0] ?? 0) + (at ? steps[event.key][0] : 0), (at?.[1] ?? 0) + (at ? steps[event.key][1] : 0));
  });
  const cut = data.classes > count || data.pairs > cells.length
    ? ` The ${count} busiest of ${data.classes} classes, and ${cells.length} of ${data.pairs} confused pairs.` : "";
  const note = make("p", {className: "note"}, "A row is a label, a column an answer. Green: labels that were found; blue: " +
    `missed in favour of the column. The stronger, the larger the share of the row's videos.${cut}`);
  show(document.getElementById("matrix"), opener, "Labels by answers", note, make("p", {className: "told"}, words),
    scrolling(make("div", {className: "scroll"}, canvas), "Matrix"));
  paint(canvas, data, size, head, at);
}

for (const place of document.querySelectorAll("[data-matrix]")) {
  if (!page.matrix.names.length) continue;
  const opener = button(`Open all ${page.matrix.names.length} classes as a matrix`, () => openMatrix(page.matrix, opener));
  opens(opener);
  place.append(opener);
}
