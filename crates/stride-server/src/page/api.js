// Talks to the server.

export class Refused extends Error {
  constructor(status, { message, param }, retryAfter) {
    super(message);
    this.status = status;
    this.param = param;
    this.retryAfter = retryAfter;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused(0, { message: "The server does not answer. Is it still running?" });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? { message: `The server answered with status ${response.status}.` };
  throw new Refused(response.status, error, Number(response.headers.get("retry-after")) || 0);
}

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) })).json();
}

export const info = async () => (await request("/info")).json();
export const words = (prompt) => post("/words", { prompt });
export const cancel = (id) => post(`/jobs/${id}/cancel`);
export const remove = (id) => request(`/gallery/${id}`, { method: "DELETE" });

export async function gallery(search, before, limit) {
  const query = new URLSearchParams({ search, limit });
  if (before) query.set("before", before);
  return (await (await request(`/gallery?${query}`)).json()).pictures;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

// Submits a job, waiting for a place where the queue is full, for as long as `isWanted`.
export async function submit(body, isWanted, onFull) {
  for (;;) {
    try {
      return await post("/jobs", body);
    } catch (error) {
      if (error.status !== 429) throw error;
      onFull(error);
      await pause(Math.min(error.retryAfter || 1, 10));
      if (!isWanted()) return null;
    }
  }
}

// Follows a job to its end: by its events, or by asking again and again where events do not get through.
export function follow(job, onState, onPreview) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/jobs/${job.id}/events`);
    const isOver = (state) => !["queued", "generating"].includes(state.status);
    const take = (state) => {
      onState(state);
      if (isOver(state)) {
        events.close();
        resolve(state);
      }
      return isOver(state);
    };
    events.addEventListener("state", (event) => take(JSON.parse(event.data)));
    events.addEventListener("preview", (event) => onPreview(JSON.parse(event.data)));
    events.addEventListener("error", async () => {
      events.close();
      try {
        for (;;) {
          const state = await (await request(`/jobs/${job.id}`)).json();
          if (take(state)) return;
          await pause(0.5);
        }
      } catch (error) {
        reject(error);
      }
    });
  });
}
