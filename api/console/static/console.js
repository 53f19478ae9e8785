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
});

// One box that ticks all of a list's.
document.addEventListener("change", (event) => {
  const box = event.target;
  if (!box.matches("[data-all]")) return;
  for (const each of box.form.querySelectorAll(`[name="${box.dataset.all}"]`)) each.checked = box.checked;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});
