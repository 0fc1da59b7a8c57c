"use strict";
// Without this script the page says the same, at rest. What it writes is text alone, so that no name is ever run.

const make = (name, values = {}, ...children) => {
  const one = Object.assign(document.createElement(name), values);
  one.append(...children);
  return one;
};

const button = (words, act, values = {}) => {
  const one = make("button", {type: "button", ...values}, words);
  one.addEventListener("click", act);
  return one;
};

/** The text of an element as a button, which a keyboard reaches. */
function asButton(element, act) {
  const inside = button("", act, {className: "bare"});
  inside.append(...element.childNodes);
  element.append(inside);
  return inside;
}

/** Show a dialog with a title, which the button that opened it tells of. */
function show(dialog, opener, title, ...content) {
  const head = make("h2", {id: `${dialog.id}-title`}, title);
  dialog.replaceChildren(head, button("Close", () => dialog.close(), {className: "close"}), ...content);
  dialog.setAttribute("aria-labelledby", head.id);
  opener?.setAttribute("aria-expanded", "true");
  dialog.addEventListener("close", () => {
    opener?.setAttribute("aria-expanded", "false");
    dialog.replaceChildren(); // and a video plays no longer
  }, {once: true});
  dialog.showModal();
}

const opens = opener => {
  opener.setAttribute("aria-haspopup", "dialog");
  opener.setAttribute("aria-expanded", "false");
};

const SVG = "http://www.w3.org/2000/svg";

function draw(name, values, ...children) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(values)) one.setAttribute(key, value);
  one.append(...children);
  return one;
}

const page = JSON.parse(document.getElementById("page-data").textContent);
