// What pages do better with a script; all of them work without one.
"use strict";

// A shell line is copied by a click on it.
document.addEventListener("click", (event) => {
  const line = event.target.closest(".copy pre");
  if (line && navigator.clipboard) {
    navigator.clipboard.writeText(line.textContent).then(() => {
      line.classList.add("copied");
      setTimeout(() => line.classList.remove("copied"), 1500);
    });
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const opener = event.target.closest("[data-open]");
  if (opener) openDialog(opener.dataset.open);
});

// One box that ticks all of a list's.
document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.id === "letters") localStorage.setItem(LETTERS, box.checked ? "on" : "off");
  if (!box.matches("[data-all]")) return;
  for (const each of box.form.querySelectorAll(`[name="${box.dataset.all}"]`)) each.checked = box.checked;
});

// --- The keyboard ---------------------------------------------------------------------------------

const LETTERS = "stocktake.letters";
// How long a g waits for its second letter.
const SECOND_MS = 1500;
let goesUntil = 0;

function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  document.getElementById("letters").checked = localStorage.getItem(LETTERS) !== "off";
  dialog.showModal();
}

// Rows that lead somewhere; the focus is on the link, so that Enter follows it.
function moveRow(by) {
  const links = [...document.querySelectorAll("main tbody tr")].map((row) => row.querySelector("th a, td a")).filter(Boolean);
  if (!links.length) return;
  const now = document.activeElement.closest("tr");
  const at = links.findIndex((link) => link.closest("tr") === now);
  const link = links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)];
  link.focus();
  link.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => document.getElementById("q")?.focus(),
  "?": () => openDialog("keys"),
  g: () => { goesUntil = Date.now() + SECOND_MS; },
  j: () => moveRow(1),
  k: () => moveRow(-1),
  x: () => document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click(),
  r: () => document.querySelector('main [data-letter="r"]:enabled')?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog")) return;
  if (localStorage.getItem(LETTERS) === "off") return;
  const goes = Date.now() < goesUntil;
  goesUntil = 0;
  const link = goes && /^[a-z]$/.test(event.key) && document.querySelector(`[data-go="${event.key}"]`);
  const act = link ? () => link.click() : Object.hasOwn(KEYS, event.key) && KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// --- The stream -----------------------------------------------------------------------------------

// A server that is started anew is back within this; what a page shows stays meanwhile.
const PATIENCE_MS = 1500;
const AGAIN_MS = 5000;
let telling;

function isStream(event) {
  return event.target.id === "stream";
}

function tellLost(why) {
  const since = new Date();
  clearTimeout(telling);
  telling = setTimeout(() => {
    const place = document.getElementById("lost");
    const note = place?.firstElementChild;
    if (!note || !note.hidden) return;
    note.querySelector("span span").textContent = place.dataset[why];
    const time = note.querySelector("time");
    time.dateTime = since.toISOString();
    time.textContent = since.toLocaleTimeString();
    note.hidden = false;
  }, why === "lost" ? PATIENCE_MS : 0);
}

function tellBack() {
  clearTimeout(telling);
  const note = document.querySelector("#lost > *");
  if (note) note.hidden = true;
}

// One that never began is not tried again by htmx.
function beginAgain(stream) {
  setTimeout(() => { if (stream.isConnected) htmx.trigger(stream, "again"); }, AGAIN_MS);
}

addEventListener("pagehide", () => clearTimeout(telling));
document.addEventListener("htmx:sse:after:connection", (event) => {
  if (isStream(event) && event.detail.connection.status === 200) tellBack();
});
document.addEventListener("htmx:sse:error", (event) => {
  if (!isStream(event)) return;
  const status = event.detail.status;
  tellLost(status === 401 || status === 403 ? "ended" : "lost");
});
document.addEventListener("refused", (event) => { if (isStream(event)) tellLost("ended"); });
for (const name of ["htmx:response:error", "htmx:error"]) {
  document.addEventListener(name, (event) => {
    if (!isStream(event)) return;
    const status = event.detail.ctx?.response?.status;
    tellLost(status === 401 || status === 403 ? "ended" : "lost");
    beginAgain(event.target);
  });
}
