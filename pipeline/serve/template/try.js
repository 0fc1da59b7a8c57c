"use strict";

// Sends the chosen file as it is, and shows the ten best classes, or why there are none.
const MOST = 10;
const [form, file, said, shown, scores] = ["try", "file", "said", "shown", "scores"].map(id => document.getElementById(id));
const button = form.querySelector("button");
document.getElementById("here").textContent = location.origin;

file.addEventListener("change", () => {
  scores.hidden = true;
  said.textContent = "";
  URL.revokeObjectURL(shown.src);
  const [chosen] = file.files;
  shown.hidden = !chosen;
  if (chosen) shown.src = URL.createObjectURL(chosen);
});
shown.addEventListener("error", () => { shown.hidden = true; });  // no browser plays every video that FFmpeg reads

form.addEventListener("submit", async event => {
  event.preventDefault();
  scores.hidden = true;
  const [chosen] = file.files;
  if (chosen.size > Number(form.dataset.bytes)) {
    said.textContent = `too_large: the file has ${chosen.size.toLocaleString("en")} bytes, which is more than is taken`;
    return;
  }
  said.textContent = "Asking …";
  button.disabled = true;
  try {
    const answer = await fetch(`/predict?name=${encodeURIComponent(chosen.name.slice(0, 200))}`, {method: "POST", body: chosen});
    const told = await answer.json();
    said.textContent = answer.ok ? told.video : `${told.error}: ${told.message}`;
    if (answer.ok) list(told.scores);
  } catch (error) {
    said.textContent = `The server does not answer (${error.message}).`;
  }
  button.disabled = false;
});

function list(found) {
  const best = Object.entries(found).sort(([, one], [, other]) => other - one).slice(0, MOST);
  scores.tBodies[0].replaceChildren(...best.map(([name, score]) => {
    const row = document.createElement("tr"), bar = document.createElement("meter");
    bar.value = score;
    row.append(document.createElement("th"), document.createElement("td"));
    row.cells[0].scope = "row";
    row.cells[0].textContent = name;
    row.cells[1].append(bar, ` ${score.toFixed(4)}`);
    return row;
  }));
  scores.hidden = false;
}
