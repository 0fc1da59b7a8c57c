// The gallery shows what all of its filters let through.

const gallery = document.querySelector("#gallery .filters");
if (gallery) {
  const [search, ...choices] = gallery.elements, said = gallery.querySelector("output");
  const fits = {
    class: (card, value) => JSON.parse(card.dataset.classes).includes(value),
    kind: (card, value) => card.dataset.kind === value,
    members: (card, value) => card.dataset.members === value,
  };
  const sift = () => {
    const wanted = wordsOf(search), chosen = choices.filter(one => one.value && fits[one.name]);
    let shown = 0;
    for (const card of cards.values()) {
      const text = card.textContent.toLowerCase();
      card.hidden = !(wanted.every(word => text.includes(word)) && chosen.every(one => fits[one.name](card, one.value)));
      shown += !card.hidden;
    }
    for (const group of document.querySelectorAll("#gallery .group"))
      group.hidden = !group.querySelector(".exhibit:not([hidden])");
    said.value = `${shown} of ${cards.size} videos`;
  };
  gallery.addEventListener("input", sift);
  gallery.addEventListener("submit", event => event.preventDefault());
  gallery.hidden = false;
  sift();
}
