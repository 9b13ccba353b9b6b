// Pictures that stay, and the window that shows one of them.

import * as api from "./api.js";
import { reuse } from "./form.js";

const PAGE = 48;
const byId = (id) => document.getElementById(id);
let isKept = false;
let oldest = null;

export function element(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

const steps = (count) => `${count} ${count === 1 ? "step" : "steps"}`;
export const altText = ({ prompt, seed, steps: count }) => `${prompt || "No prompt"}, seed ${seed}, ${steps(count)}`;

// Opens a picture; closing it returns to where one was.
export function open(url, settings) {
  byId("viewer-image").src = url;
  byId("viewer-image").alt = altText(settings);
  const facts = [`Seed ${settings.seed}`, steps(settings.steps), `guidance ${settings.cfg_scale}`];
  if (settings.negative_prompt) facts.push(`without “${settings.negative_prompt}”`);
  const drawn = settings.completed_prompt ? `\nDrawn as: ${settings.completed_prompt}` : "";
  byId("viewer-text").textContent = `${settings.prompt}${drawn}\n${facts.join(" · ")}`;
  byId("viewer-download").href = url;
  byId("viewer-download").download = `stride-${settings.seed}.png`;
  byId("viewer-reuse").onclick = () => {
    byId("viewer").close();
    reuse(settings);
  };
  byId("viewer").showModal();
}

function tile(picture) {
  const url = `/gallery/${picture.id}`;
  const item = element("li", "tile");
  const frame = element("button", "frame");
  frame.type = "button";
  const image = element("img");
  image.alt = altText(picture);
  image.src = url;
  image.loading = "lazy";
  frame.append(image);
  frame.addEventListener("click", () => open(url, picture));

  const caption = element("div", "caption");
  caption.append(element("p", "text", picture.prompt), element("p", "facts", `seed ${picture.seed} · ${steps(picture.steps)}`));

  const tools = element("div", "tools");
  const again = button("Reuse", `Reuse seed ${picture.seed}: ${picture.prompt}`, () => reuse(picture));
  const download = element("a", "button", "Save");
  download.href = url;
  download.download = `stride-${picture.seed}.png`;
  download.setAttribute("aria-label", `Save seed ${picture.seed}: ${picture.prompt}`);
  const remove = button("Delete", `Delete seed ${picture.seed}: ${picture.prompt}`, async () => {
    // The first press asks, the second deletes; leaving the button takes the question back.
    if (!remove.dataset.asked) {
      remove.dataset.asked = "yes";
      remove.textContent = "Sure?";
      remove.setAttribute("aria-label", `Sure? Deletes seed ${picture.seed}: ${picture.prompt}`);
      return;
    }
    const next = item.nextElementSibling ?? item.previousElementSibling;
    try {
      await api.remove(picture.id);
    } catch (error) {
      if (error.status !== 404) {
        byId("alert").textContent = error.message;
        return;
      }
    }
    item.remove();
    (next?.querySelector("button") ?? byId("search")).focus();
    byId("status").textContent = "Deleted";
    note();
  });
  remove.addEventListener("blur", () => {
    delete remove.dataset.asked;
    remove.textContent = "Delete";
    remove.setAttribute("aria-label", `Delete seed ${picture.seed}: ${picture.prompt}`);
  });
  tools.append(again, download, remove);
  item.append(frame, caption, tools);
  return item;
}

function button(text, label, onClick) {
  const node = element("button", "", text);
  node.type = "button";
  node.setAttribute("aria-label", label);
  node.addEventListener("click", onClick);
  return node;
}

function note() {
  const isEmpty = !byId("gallery-list").childElementCount;
  byId("gallery-note").hidden = !isEmpty;
  byId("gallery-note").textContent = byId("search").value ? "No prompt has these words." : "Pictures that you draw stay here.";
}

async function load(before) {
  const pictures = await api.gallery(byId("search").value, before, PAGE);
  if (!before) byId("gallery-list").replaceChildren();
  byId("gallery-list").append(...pictures.map(tile));
  oldest = pictures.at(-1)?.id ?? oldest;
  byId("more").hidden = pictures.length < PAGE;
  note();
}

// Shows what is new, and leaves what is there, and the focus, where they are.
export async function refresh() {
  if (!isKept) return;
  const list = byId("gallery-list");
  const shown = new Set([...list.querySelectorAll(".frame img")].map((image) => image.getAttribute("src")));
  const pictures = await api.gallery(byId("search").value, null, PAGE);
  const fresh = pictures.filter((picture) => !shown.has(`/gallery/${picture.id}`));
  list.prepend(...fresh.map(tile));
  oldest ??= pictures.at(-1)?.id ?? null;
  note();
}

export function begin(info) {
  isKept = info.has_gallery;
  if (!isKept) {
    byId("search-box").hidden = true;
    byId("gallery-note").hidden = false;
    byId("gallery-note").textContent = "Pictures are not kept. Start the server with --gallery DIR to keep and search them.";
    return;
  }
  let timer;
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => load(null).catch(() => {}), 200);
  });
  byId("more").addEventListener("click", () => load(oldest).catch(() => {}));
  load(null).catch((error) => (byId("alert").textContent = error.message));
}
