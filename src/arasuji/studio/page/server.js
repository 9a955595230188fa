// Asks the server. Every error is a sentence that says what to do.

export async function get(path) {
  return answerOf(await fetch(path));
}

export async function post(path, body) {
  return send("POST", path, body);
}

export async function send(method, path, body) {
  return answerOf(await fetch(path, body === undefined ? { method } : request(body, method)));
}

// The events of a stream, one after another; `signal` ends it.
export async function* events(path, body, signal) {
  const answer = await fetch(path, { ...request(body), signal });
  if (!answer.ok) await answerOf(answer);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of chunks(answer.body)) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
  }
}

function request(body, method = "POST") {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

async function answerOf(answer) {
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const said = await answer.json().catch(() => null);
  const wait = answer.headers.get("Retry-After");
  const error = new Error(said?.error?.message ?? `the server answered ${answer.status}`);
  error.retryAfter = answer.status === 429 && wait ? Number(wait) : 0;
  throw error;
}

// Not every browser lets a body be read by `for await`.
async function* chunks(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
