// The form: what is asked for, and what the model allows.

const byId = (id) => document.getElementById(id);
const fields = ["prompt", "steps", "seed", "count", "guidance", "negative"];
const fieldOfParam = {
  prompt: "prompt", steps: "steps", num_inference_steps: "steps", seed: "seed", n: "count",
  guidance_scale: "guidance", negative_prompt: "negative",
};
const hints = {
  images: "",
  strip: "The same noise at 1, 2, 4 … steps.",
  grid: "Every line of the prompt is a row, every seed a column.",
};
const STORED = "stride.form";
let facts;

export const mode = () => document.querySelector("input[name=mode]:checked").value;
const steps = () => Number(byId("steps").value);
export const powersOfTwo = () =>
  [0, 1, 2, 3, 4, 5, 6, 7].map((power) => 2 ** power).filter((count) => count <= facts.limits.steps);

// Seconds that an image of so many steps takes alone.
export const seconds = (count) => facts.step_seconds * count + facts.decode_seconds;
export const spoken = (time) => (time < 0.095 ? `${time.toFixed(2)} s` : time < 9.95 ? `${time.toFixed(1)} s` : `${Math.round(time)} s`);

function canGuide(list) {
  const counts = mode() === "strip" ? powersOfTwo() : [steps()];
  return counts.some((count) => list.includes(count));
}

function showSteps() {
  const slider = byId("steps-slider");
  const count = Math.min(Math.max(Math.round(steps()) || 1, 1), facts.limits.steps);
  slider.value = Math.round(Math.log2(count));
  slider.setAttribute("aria-valuetext", `${count} ${count === 1 ? "step" : "steps"}, about ${spoken(seconds(count))}`);
}

function showGuidance() {
  const { guidance } = facts;
  byId("guidance-fields").hidden = !guidance.steps.length;
  const possible = canGuide(guidance.steps);
  for (const id of ["guidance", "guidance-slider"]) byId(id).disabled = !possible;
  byId("guidance-hint").textContent = possible
    ? "1 is none. More follows the prompt more closely."
    : `This model can be guided at ${guidance.steps.join(", ")} steps.`;
  byId("negative-field").hidden = !canGuide(guidance.negative_prompt_steps);
}

function showMode() {
  byId("mode-hint").textContent = hints[mode()];
  byId("steps-field").hidden = mode() === "strip";
  byId("count-label").textContent = mode() === "grid" ? "Seeds" : "Images";
  byId("count").closest(".field").hidden = mode() === "strip";
  showGuidance();
}

function store() {
  const values = Object.fromEntries(fields.map((id) => [id, byId(id).value]));
  values.mode = mode();
  values.isLocked = isLocked();
  values.asTyped = byId("as-typed").checked;
  try {
    localStorage.setItem(STORED, JSON.stringify(values));
  } catch {
    // A browser that keeps nothing asks anew next time.
  }
}

function restore() {
  try {
    const { mode, isLocked, asTyped, ...values } = JSON.parse(localStorage.getItem(STORED)) ?? {};
    for (const id of fields) if (values[id] !== undefined) byId(id).value = values[id];
    const radio = document.querySelector(`input[name=mode][value="${CSS.escape(mode ?? "images")}"]`);
    if (radio) radio.checked = true;
    byId("lock").setAttribute("aria-pressed", String(Boolean(isLocked)));
    byId("as-typed").checked = Boolean(asTyped);
  } catch {
    // What cannot be read is not restored.
  }
}

const isLocked = () => byId("lock").getAttribute("aria-pressed") === "true";

export function rollSeed() {
  byId("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
}

// Called once, when it is known what the server can do.
export function begin(info) {
  facts = info;
  byId("model").textContent = `${facts.model} · ${facts.resolution} × ${facts.resolution}`;
  byId("steps").max = facts.limits.steps;
  byId("steps").value = facts.default_steps;
  byId("steps-slider").max = powersOfTwo().length - 1;
  byId("count").max = facts.limits.images;
  byId("guidance").min = facts.guidance.min_scale;
  byId("guidance").max = facts.guidance.max_scale;
  byId("guidance-slider").min = Math.max(facts.guidance.min_scale, 1);
  byId("guidance-slider").max = Math.min(facts.guidance.max_scale, 6);
  byId("guidance").value = facts.default_guidance_scale;
  byId("as-typed-field").hidden = !facts.completes_prompts;
  for (const [power, count] of powersOfTwo().entries()) {
    byId("steps-marks").append(new Option(String(count), String(power)));
    byId("steps-scale").append(Object.assign(document.createElement("li"), { textContent: count }));
  }
  rollSeed();
  restore();
  byId("guidance-slider").value = byId("guidance").value;

  byId("steps-slider").addEventListener("input", (event) => {
    byId("steps").value = 2 ** event.target.value;
  });
  byId("guidance-slider").addEventListener("input", (event) => (byId("guidance").value = event.target.value));
  byId("guidance").addEventListener("input", (event) => (byId("guidance-slider").value = event.target.value));
  byId("dice").addEventListener("click", () => {
    rollSeed();
    store();
  });
  byId("lock").addEventListener("click", (event) => {
    event.currentTarget.setAttribute("aria-pressed", String(!isLocked()));
    store();
  });
  byId("form").addEventListener("input", (event) => {
    showError(event.target.id, "");
    showSteps();
    showMode();
    store();
  });
  showSteps();
  showMode();
}

export function showError(id, message) {
  const box = byId(`${id}-error`);
  if (!box) return;
  box.textContent = message;
  box.hidden = !message;
  byId(id).setAttribute("aria-invalid", String(Boolean(message)));
}

// Puts a message beside the field that it is about; says whether there is one.
export function showRefusal({ param, message }) {
  const id = fieldOfParam[param];
  if (id) showError(id, message);
  return Boolean(id);
}

// What to draw, as bodies of requests with the place that each has; nothing if a field is wrong.
export function orders() {
  let firstWrong;
  for (const id of fields) {
    const field = byId(id);
    const isWrong = !field.closest("[hidden]") && !field.disabled && !field.checkValidity();
    showError(id, isWrong ? field.validationMessage : "");
    if (isWrong) firstWrong ??= field;
  }
  if (firstWrong) {
    firstWrong.focus();
    return null;
  }
  if (!isLocked() || !byId("seed").value) rollSeed();
  store();
  const prompt = byId("prompt").value;
  const seed = Number(byId("seed").value);
  const n = Number(byId("count").value) || 1;
  const order = (prompt, steps, n) => {
    const body = { prompt, steps, seed, n };
    if (facts.completes_prompts && byId("as-typed").checked) body.as_typed = true;
    if (facts.guidance.steps.includes(steps)) body.guidance_scale = Number(byId("guidance").value);
    const negative = byId("negative").value.trim();
    if (negative && facts.guidance.negative_prompt_steps.includes(steps)) body.negative_prompt = negative;
    return body;
  };
  switch (mode()) {
    case "strip":
      return powersOfTwo().map((count) => order(prompt, count, 1));
    case "grid":
      return prompt.split("\n").filter((line) => line.trim()).map((line) => order(line.trim(), steps(), n));
    default:
      return [order(prompt, steps(), n)];
  }
}

// Fills the form with how a picture was made, and keeps its seed.
export function reuse(settings) {
  byId("prompt").value = settings.prompt;
  byId("negative").value = settings.negative_prompt ?? "";
  byId("as-typed").checked = Boolean(settings.as_typed);
  byId("steps").value = settings.steps;
  byId("seed").value = settings.seed;
  byId("count").value = 1;
  byId("guidance").value = settings.cfg_scale;
  byId("guidance-slider").value = settings.cfg_scale;
  byId("lock").setAttribute("aria-pressed", "true");
  document.querySelector("input[name=mode][value=images]").checked = true;
  byId("prompt").dispatchEvent(new Event("input", { bubbles: true }));
  byId("prompt").focus();
}
