// A video plays where its file lies; where there is none, or the browser cannot play it, its frames follow each other.

const cards = new Map([...document.querySelectorAll(".exhibit")].map(card => [card.dataset.video, card]));

/** Small frames of a video side by side: a data URL, empty without frames, undefined beyond the budget. */
const stripOf = video => {
  if (!cards.has(video)) return Object.hasOwn(page.strips, video) ? page.strips[video] : undefined;
  const card = cards.get(video);
  return card.dataset.left ? undefined : card.querySelector(".strip img")?.src ?? "";
};

const fileOf = video => Object.hasOwn(page.files, video) ? page.base + page.files[video] : "";

function framesOf(video) {
  const src = stripOf(video);
  if (!src) return make("p", {className: "blank"}, src === "" ? "No frames" : "No room for its frames in this page");
  return make("div", {className: "frames"}, make("img", {src, alt: `Frames of ${video}, one after another`}));
}

function play(video, opener) {
  const stage = make("div", {className: "stage"}), note = make("p", {className: "note", role: "status"});
  const url = fileOf(video);
  if (url) {
    const film = make("video", {src: url, controls: true, autoplay: true, playsInline: true, ariaLabel: video});
    film.addEventListener("error", () => {
      stage.replaceChildren(framesOf(video));
      note.textContent = "The file is not where this page expects it, or this browser does not play its kind: " +
        "these are some of its frames.";
    });
    stage.append(film);
    note.append(make("a", {href: url}, "The file by itself"));
  } else stage.append(framesOf(video));
  show(document.getElementById("player"), opener, video, stage, note);
}

/** The strip of a video as a button that plays it; without frames, words that do. */
function playerOf(video) {
  const src = stripOf(video);
  const one = button("", () => play(video, one), {className: src ? "strip" : "blank", ariaLabel: `Play ${video}`});
  opens(one);
  if (src) one.append(make("img", {src, alt: "", loading: "lazy"}));
  else one.append(src === "" ? "No frames" : "Frames left out");
  return one;
}

for (const [video, card] of cards) card.querySelector(".strip, .blank").replaceWith(playerOf(video));
