// Sends the link behind `#` with the new password. The link is taken out of the address bar, and so out of the history.
"use strict";
const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
const link = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
status.textContent = "";
if (link === "") {
  form.hidden = true;
  status.textContent = "Open the link of your message: this address alone is not enough.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = form.elements.first.value;
  if (password !== form.elements.again.value) {
    status.textContent = "The two passwords differ.";
    return;
  }
  const button = form.querySelector("button");
  button.disabled = true;
  status.textContent = "…";
  try {
    const answer = await fetch("/v1/password-links", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ link, password }),
    });
    const said = await answer.json();
    form.hidden = answer.ok;
    status.textContent = answer.ok ? `The password of ${said.email} is set. You can close this page.` : said.detail;
  } catch {
    status.textContent = "The server does not answer. Try again.";
  }
  button.disabled = false;
});
