"use strict";
// Follows the page while it is looked at, and sends orders. Everything else works without.
(() => {
  const every = 3000, longest = 30000;
  const said = document.getElementById("said");
  const hold = document.getElementById("hold");
  let wait = every, held = false, timer;

  const busy = () => {
    const at = document.activeElement;
    return (at && at !== document.body && document.getElementById("main").contains(at)) || document.querySelector("details[open]");
  };

  const look = async () => {
    if (!held && !document.hidden && !busy()) {
      try {
        const answer = await fetch(location.href, { cache: "no-store" });
        if (!answer.ok) throw new Error("status " + answer.status);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const state = fresh.querySelector(".state");
        if (!state) throw new Error("the application has ended");
        if (state.textContent !== document.querySelector(".state").textContent) said.textContent = "Now " + state.textContent;
        document.title = fresh.title;
        document.querySelector(".app").replaceWith(fresh.querySelector(".app"));
        document.getElementById("main").replaceWith(fresh.getElementById("main"));
        if (wait !== every) said.textContent = "";
        wait = every;
      } catch (error) {
        wait = Math.min(wait * 2, longest);
        said.textContent = "Not up to date: " + error.message;
      }
    }
    timer = setTimeout(look, wait);
  };

  hold.addEventListener("click", () => {
    held = !held;
    hold.setAttribute("aria-pressed", String(held));
    hold.textContent = held ? "Go on" : "Pause";
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-to]");
    if (!button || !confirm(button.getAttribute("aria-label") + "?")) return;
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.to, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ state: button.dataset.state }),
      });
      const text = await answer.text();
      said.textContent = answer.ok ? JSON.parse(text).accepted : text;
    } catch (error) {
      said.textContent = "Not sent: " + error.message;
    }
    button.disabled = false;
    button.blur();
  });

  document.documentElement.classList.add("js");
  hold.hidden = false;
  if (!new URLSearchParams(location.search).has("refresh")) timer = setTimeout(look, every);
})();
