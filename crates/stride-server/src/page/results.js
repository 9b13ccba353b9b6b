// The pictures of the moment, appearing step by step.

import { element, open, altText } from "./gallery.js";

const stage = document.getElementById("stage");

const settingsOf = (order, job, image) => ({
  prompt: order.prompt, completed_prompt: image.completed_prompt, as_typed: order.as_typed, negative_prompt: order.negative_prompt, seed: image.seed, steps: job.steps, cfg_scale: job.guidance_scale,
});

const plural = (count) => `${count} ${count === 1 ? "step" : "steps"}`;

// A place for a picture: empty, a preview, and in the end the picture as a button that opens it.
class Place {
  constructor(caption) {
    this.frame = element("div", "frame waiting");
    this.facts = caption ? element("p", "facts", caption) : null;
  }

  preview({ b64_json: data, step }, total, alt) {
    if (!this.image) {
      this.image = element("img");
      this.frame.replaceChildren(this.image);
      this.frame.classList.remove("waiting");
    }
    this.image.alt = `${alt}, ${step} of ${plural(total)} done`;
    this.image.src = `data:image/jpeg;base64,${data}`;
  }

  finish(url, settings) {
    const button = element("button", "frame");
    button.type = "button";
    const image = element("img");
    image.alt = altText(settings);
    image.src = url;
    button.append(image);
    button.addEventListener("click", () => open(url, settings));
    // The last preview stays until the picture is there, so that nothing flickers.
    image.decode().catch(() => {}).then(() => this.frame.replaceWith(button));
  }

  fail(message) {
    this.frame.classList.remove("waiting");
    this.frame.replaceChildren(element("p", "failed", message));
  }
}

// Lays out a place for every picture of the orders; gives those of each order.
export function layOut(orders, mode) {
  stage.replaceChildren();
  if (mode === "grid") {
    const seeds = Array.from({ length: orders[0].n }, (_, k) => orders[0].seed + k);
    const head = element("tr");
    head.append(element("td"), ...seeds.map((seed) => column(`seed ${seed}`)));
    const table = element("table");
    table.append(element("caption", "unseen", "A row for every prompt, a column for every seed"), wrap("thead", head));
    const body = element("tbody");
    const places = orders.map((order) => {
      const row = element("tr");
      const title = element("th", "", order.prompt);
      title.scope = "row";
      const cells = seeds.map(() => new Place());
      row.append(title, ...cells.map((place) => wrap("td", place.frame)));
      body.append(row);
      return cells;
    });
    table.append(body);
    const scroll = wrap("div", table);
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Grid of prompts and seeds");
    stage.append(scroll);
    return places;
  }
  const total = orders.reduce((sum, order) => sum + order.n, 0);
  const list = element("ul", `now ${mode === "strip" ? "strip" : total === 1 ? "one" : ""}`);
  stage.append(list);
  return orders.map((order) =>
    Array.from({ length: order.n }, (_, k) => {
      const place = new Place(mode === "strip" ? plural(order.steps) : `seed ${order.seed + k} · ${plural(order.steps)}`);
      const caption = wrap("div", place.facts);
      caption.className = "caption";
      const tile = element("li", "tile");
      tile.append(place.frame, caption);
      list.append(tile);
      return place;
    }),
  );
}

// Shows what a job has done.
export function show(places, order, job, drawn) {
  for (const image of job.images) {
    if (!image.url || drawn.has(image.index)) continue;
    drawn.add(image.index);
    // The gallery's address holds for longer than the job's.
    const url = image.gallery_id ? `/gallery/${image.gallery_id}` : image.url;
    places[image.index].finish(url, settingsOf(order, job, image));
  }
  if (job.status === "failed" || job.status === "cancelled") {
    const message = job.status === "cancelled" ? "Stopped" : job.error.message;
    places.forEach((place, index) => drawn.has(index) || place.fail(message));
  }
}

export function showPreview(places, order, preview) {
  const alt = altText({ prompt: order.prompt, seed: order.seed + preview.image, steps: order.steps });
  places[preview.image].preview(preview, order.steps, alt);
}

export function fail(places, message) {
  places.forEach((place) => place.fail(message));
}

function column(text) {
  const cell = element("th", "", text);
  cell.scope = "col";
  return cell;
}

function wrap(name, child) {
  const parent = element(name);
  parent.append(child);
  return parent;
}
