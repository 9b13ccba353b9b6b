// The page: draws what the form asks for, and tells how far it is.

import * as api from "./api.js";
import * as form from "./form.js";
import * as gallery from "./gallery.js";
import * as results from "./results.js";
import * as words from "./words.js";

const TELL_EVERY = 1000;
const byId = (id) => document.getElementById(id);
// The drawing that is under way, which a newer one or Stop ends.
let current = null;

// Tells at most once a second, and the end of it always.
let told = 0;
function tell(text, isLast = false) {
  const now = performance.now();
  if (!isLast && now - told < TELL_EVERY) return;
  told = now;
  byId("status").textContent = text;
}

function setBusy(isBusy) {
  byId("stop").setAttribute("aria-disabled", String(!isBusy));
  byId("form").setAttribute("aria-busy", String(isBusy));
}

function stop() {
  if (!current) return;
  const { jobs } = current;
  current.isWanted = false;
  for (const job of jobs) if (job) api.cancel(job.id).catch(() => {});
}

function progress(run) {
  const jobs = run.jobs.filter(Boolean);
  const total = run.orders.reduce((sum, order) => sum + order.n * order.steps, 0);
  const done = jobs.reduce((sum, job) => sum + job.steps_done, 0);
  byId("progress").max = total;
  byId("progress").value = done;
  if (!run.isWanted || jobs.length === 0) return;
  const ahead = Math.min(...run.orders.map((_, index) => run.jobs[index]?.queue_position ?? 0));
  const left = Math.max(0, ...jobs.map((job) => job.seconds_left));
  const time = left > 1 ? `, about ${form.spoken(left)} left` : "";
  if (done === 0) tell(ahead ? `Queued, ${ahead} ahead${time}` : `Starting${time}`);
  else tell(`Step ${done} of ${total}${time}`);
}

async function draw(run, index, places) {
  const order = run.orders[index];
  const drawn = new Set();
  const job = await api.submit(order, () => run.isWanted, (error) => tell(error.message, true));
  if (!job) return "cancelled";
  run.jobs[index] = job;
  if (!run.isWanted) api.cancel(job.id).catch(() => {});
  const last = await api.follow(
    job,
    (state) => {
      run.jobs[index] = state;
      results.show(places, order, state, drawn);
      progress(run);
    },
    (preview) => results.showPreview(places, order, preview),
  );
  if (last.error && last.status === "failed") throw new api.Refused(500, last.error);
  return last.status;
}

async function generate() {
  const mode = form.mode();
  const orders = form.orders();
  if (!orders) return;
  if (!orders.length) {
    form.showError("prompt", "Write a prompt on every line.");
    byId("prompt").focus();
    return;
  }
  stop();
  byId("alert").textContent = "";
  const run = { orders, jobs: orders.map(() => null), isWanted: true };
  current = run;
  setBusy(true);
  const start = performance.now();
  byId("progress").value = 0;
  tell("Starting", true);
  const places = results.layOut(orders, mode);
  // Where the pictures are below the form, they come into sight; the focus stays.
  if (!matchMedia("(min-width: 56rem)").matches) byId("results").scrollIntoView({ block: "start" });
  progress(run);
  const ends = await Promise.allSettled(orders.map((_, index) => draw(run, index, places[index])));
  if (current !== run) return;
  current = null;
  setBusy(false);
  const seconds = (performance.now() - start) / 1000;
  const failed = ends.find((end) => end.status === "rejected");
  ends.forEach((end, index) => {
    if (end.status === "rejected") results.fail(places[index], "Not drawn");
  });
  if (failed) {
    tell("Not drawn", true);
    if (!form.showRefusal(failed.reason)) byId("alert").textContent = failed.reason.message;
  } else if (ends.some((end) => end.value === "cancelled")) {
    tell("Stopped", true);
  } else {
    tell(`Done in ${form.spoken(seconds)}`, true);
    byId("progress").value = byId("progress").max;
  }
  gallery.refresh().catch(() => {});
}

const isTyping = (node) => node.matches("textarea, select, input:not([type=range], [type=radio])");

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  generate();
});
byId("stop").addEventListener("click", stop);
byId("help-button").addEventListener("click", () => byId("help").showModal());
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    byId("form").requestSubmit();
  } else if (event.key === "Escape") {
    stop();
  } else if (event.key === "?" && !isTyping(event.target)) {
    byId("help").showModal();
  }
});

try {
  const info = await api.info();
  form.begin(info);
  gallery.begin(info);
  words.begin();
} catch (error) {
  byId("alert").textContent = error.message;
}
