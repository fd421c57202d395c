// Conveniences of the search page. Everything works without them.
"use strict";
(() => {
  const box = document.getElementById("q");
  const titles = [...document.querySelectorAll("a.title")];
  const status = document.getElementById("status");

  const typing = (element) =>
    element && (element.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName));

  // From the box down to the hits and back up to it; elsewhere the keys do what they always do.
  const move = (step) => {
    const at = titles.indexOf(document.activeElement);
    const next = at + step;
    if (next < 0) box.focus();
    else if (next < titles.length) titles[next].focus();
    if (titles[next]) titles[next].closest("li").scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const active = document.activeElement;
    if (event.key === "/" && !typing(active)) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && active === box) {
      box.blur();
    } else if (event.key === "Escape" && document.getElementById("back") && !typing(active)) {
      document.getElementById("back").click();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && titles.length) {
      const onHit = titles.includes(active);
      const outside = !typing(active) && !onHit && (active === document.body || active === document.documentElement);
      const leaving = active === box && event.key === "ArrowDown" && suggestions.childElementCount === 0;
      if (!onHit && !outside && !leaving) return;
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    }
  });

  // A search that takes a while says so.
  let leaving = 0;
  const searching = () => {
    clearTimeout(leaving);
    leaving = setTimeout(() => {
      document.body.setAttribute("aria-busy", "true");
      if (status) status.textContent = "Searching…";
    }, 150);
  };
  for (const form of document.querySelectorAll("form.search")) {
    form.addEventListener("submit", () => {
      // An address holds what was chosen, not every empty field.
      for (const field of form.elements) if (field.name && field.name !== "q" && !field.value) field.disabled = true;
      searching();
    });
    for (const choice of form.querySelectorAll("select"))
      choice.addEventListener("change", () => box.value.trim() && form.requestSubmit());
  }
  // Back from the browser's memory: the page as it was.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    clearTimeout(leaving);
    document.body.removeAttribute("aria-busy");
    for (const field of document.querySelectorAll("form.search [disabled]")) field.disabled = false;
  });

  // Titles that go with what is typed.
  const suggestions = document.getElementById("suggestions");
  let waiting = 0;
  let asked = null;
  if (box && suggestions && box.dataset.suggest)
    box.addEventListener("input", () => {
      clearTimeout(waiting);
      const text = box.value.trim();
      if (text.length < 2) return suggestions.replaceChildren();
      waiting = setTimeout(async () => {
        if (asked) asked.abort();
        asked = new AbortController();
        try {
          const address = box.dataset.suggest + "?" + new URLSearchParams({ q: text });
          const answer = await fetch(address, { signal: asked.signal });
          if (!answer.ok) return;
          const { titles: found } = await answer.json();
          suggestions.replaceChildren(
            ...found.map((title) => Object.assign(document.createElement("option"), { value: title })),
          );
        } catch (error) {
          if (error.name !== "AbortError") suggestions.replaceChildren();
        }
      }, 120);
    });
})();
