// Requests to the server, with the token that the address had.
const query = new URLSearchParams(location.search);
if (query.get("token")) {
  sessionStorage.setItem("token", query.get("token"));
  // Out of the address, where others would see it; a reload finds it in this tab's storage.
  history.replaceState(null, "", location.pathname);
}
const token = sessionStorage.getItem("token") ?? "";

// A refusal, with the server's words.
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function ask(path, body) {
  const options = { headers: { "x-infomark-token": token }, cache: "no-store" };
  if (body !== undefined) Object.assign(options, { method: "POST", body: body instanceof Blob ? body : JSON.stringify(body) });
  let response;
  try {
    response = await fetch("/api/" + path, options);
  } catch {
    throw new Refused(0, "The server does not answer. Start `infomark review` again and open the address that it prints; what was saved is kept.");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Refused(response.status, told.error ?? `The server answered ${response.status}.`);
}

export const json = async (path, body) => (await ask(path, body)).json();
