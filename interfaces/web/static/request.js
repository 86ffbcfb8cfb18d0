// Requests to the server.

// After a restart, the server refuses the old cookie. Loading the page again sets a new one.
export async function request(path, options) {
  const response = await fetch(path, options);
  if (response.status !== 401) {
    return response;
  }
  await fetch("./");
  return fetch(path, options);
}

// Returns the response; null if there was none.
export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
}

// Returns the id of an uploaded file. Throws an error with a sentence for the person.
export async function upload(file) {
  const options = { method: "POST", headers: { "Content-Type": file.type }, body: file };
  const response = await request(`files?name=${encodeURIComponent(file.name)}`, options).catch(() => null);
  if (!response?.ok) {
    throw new Error(response?.status === 413 ? `${file.name} is too large.` : `${file.name} could not be uploaded.`);
  }
  return (await response.json()).id;
}
