// The keyboard: each key presses a button or follows a link that is on the page anyway.
"use strict";

const all = (selector) => [...document.querySelectorAll(selector)];
const press = (element) => element && element.click();
const go = (name) => press(document.querySelector(`[data-go="${name}"]`));
const stops = () => [...all(".subject"), ...all(".steps [data-go=next]")];

function current() {
  const held = document.activeElement && document.activeElement.closest(".subject");
  return held || all(".subject").find((one) => !one.dataset.voted) || null;
}

// Seen also while the window has no focus, as when somebody comes back to it by mouse.
function mark(element) {
  all(".here").forEach((one) => one.classList.remove("here"));
  const subject = element.closest(".subject");
  if (subject) subject.classList.add("here");
}

function focusOn(element) {
  if (!element) return;
  element.focus({ preventScroll: true });
  mark(element);
  element.scrollIntoView({ block: "nearest" });
}

function move(by) {
  const places = stops();
  const held = document.activeElement && document.activeElement.closest(".subject, [data-go=next]");
  const at = places.indexOf(held);
  const to = at < 0 ? places.indexOf(current()) : Math.min(Math.max(at + by, 0), places.length - 1);
  focusOn(places[Math.max(to, 0)]);
}

function photo(by) {
  const links = all(".strip a");
  const at = links.findIndex((one) => one.hasAttribute("aria-current"));
  press(links[at + by]);
}

function where() {
  const subject = current();
  const link = subject && subject.querySelector(".where");
  if (!link) return;
  const shown = new URLSearchParams(location.search).get("where");
  if (shown === new URL(link.href).searchParams.get("where")) go("plain");
  else press(link);
}

function help() {
  const keys = document.getElementById("keys");
  if (!keys) return;
  keys.open = !keys.open;
  if (keys.open) focusOn(keys.querySelector("summary"));
}

const keys = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  a: () => press(current() && current().querySelector(".accept")),
  r: () => press(current() && current().querySelector(".reject")),
  u: () => go("undo"),
  w: where,
  "[": () => photo(-1),
  "]": () => photo(1),
  m: () => focusOn(document.getElementById("missing")),
  n: () => go("next"),
  p: () => go("previous"),
  q: () => go("queue"),
  "?": help,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = keys[event.key];
  if (!action || (event.key.startsWith("Arrow") && !all(".subject").length)) return;
  event.preventDefault();
  action();
});

document.addEventListener("focusin", (event) => mark(event.target));

// After a vote the address names the next subject; else the first one without a vote is next.
document.addEventListener("DOMContentLoaded", () => {
  if (!all(".subject").length) return;
  const named = location.hash && document.getElementById(location.hash.slice(1));
  focusOn(named || current());
});
