// Shows how far an upload is. Without a script the browser sends the form, and shows less.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-upload]")) return;
  event.preventDefault();
  const bar = form.querySelector("progress");
  const told = form.querySelector("output");
  const button = form.querySelector("button");
  const request = new XMLHttpRequest();
  const end = (text) => { told.textContent = text; bar.hidden = true; button.disabled = false; };
  bar.hidden = false;
  button.disabled = true;
  request.upload.addEventListener("progress", (it) => {
    if (!it.lengthComputable) return;
    bar.max = it.total;
    bar.value = it.loaded;
    told.textContent = it.loaded < it.total
      ? `${Math.floor(100 * it.loaded / it.total)} % of ${(it.total / 1e6).toFixed(1)} MB`
      : "Received. It is being stored.";
  });
  request.addEventListener("load", () => {
    // A table was made: its page was led to.
    if (request.status < 300 && request.responseURL !== form.action) return location.assign(request.responseURL);
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const note = page.querySelector("main .note.bad") ?? page.querySelector("main h1");
    end(note ? note.textContent.trim() : `The server answered ${request.status}.`);
  });
  request.addEventListener("error", () => end("The connection broke. Send the file again."));
  request.open("POST", form.action);
  request.send(new FormData(form));
});
