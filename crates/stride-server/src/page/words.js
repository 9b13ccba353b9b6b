// Marks words that the model never saw while the prompt is typed.

import * as api from "./api.js";

const PAUSE = 250;
const prompt = document.getElementById("prompt");
const marks = document.getElementById("marks");
const list = document.getElementById("words");
let timer;
let shown = "";

const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const pattern = (words) => new RegExp(`(?<![\\p{L}\\p{N}])(${words.map(escaped).join("|")})(?![\\p{L}\\p{N}])`, "giu");

function mark(unknown) {
  const text = prompt.value;
  marks.replaceChildren();
  if (!unknown.length) return;
  let end = 0;
  for (const match of text.matchAll(pattern(unknown.map(({ word }) => word)))) {
    const word = Object.assign(document.createElement("mark"), { textContent: match[0] });
    marks.append(text.slice(end, match.index), word);
    end = match.index + match[0].length;
  }
  marks.append(text.slice(end));
  marks.scrollTop = prompt.scrollTop;
}

function tell({ unknown_words: unknown, dropped_text: dropped }) {
  list.replaceChildren();
  if (unknown.length) {
    const names = unknown.map(({ word }) => word).join(", ");
    list.append(Object.assign(document.createElement("span"), { textContent: `The model never saw: ${names}.` }));
  }
  for (const { word, meant } of unknown) {
    if (!meant) continue;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `Write ${meant} for ${word}` });
    button.addEventListener("click", () => {
      prompt.value = prompt.value.replace(pattern([word]), meant);
      prompt.dispatchEvent(new Event("input", { bubbles: true }));
      prompt.focus();
    });
    list.append(button);
  }
  if (dropped) {
    list.append(Object.assign(document.createElement("span"), { textContent: `Too long; left out: “${dropped.slice(0, 80)}”` }));
  }
}

async function look() {
  const text = prompt.value;
  try {
    // Empty lines mean nothing, and a grid has a prompt on every line.
    const report = text.trim() ? await api.words(text) : { unknown_words: [], dropped_text: "" };
    if (text !== prompt.value) return;
    mark(report.unknown_words);
    const key = JSON.stringify(report);
    if (key !== shown) tell(report);
    shown = key;
  } catch {
    // Whatever is wrong is told when the prompt is sent.
  }
}

export function begin() {
  prompt.addEventListener("input", () => {
    marks.replaceChildren();
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  });
  prompt.addEventListener("scroll", () => (marks.scrollTop = prompt.scrollTop));
  look();
}
